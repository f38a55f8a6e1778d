import Reference

/// Rounds the rows of a matrix to integers, channel after channel, each taking over what the earlier
/// ones left (``FeedbackFactor``), and weighing the bits that each choice costs in the stream.
///
/// Without prices this is Frantar et al., "GPTQ" (2022). With prices every choice minimises
/// `cost · error² + bits`: rate–distortion optimised quantisation as video encoders do it (Sullivan &
/// Wiegand, "Rate-Distortion Optimization for Video Compression", 1998), with second-order feedback.
/// With a factor of the outputs, rows take over what earlier rows left, too: both sides of the
/// Kronecker approximation, as in Tseng et al., "Model-Preserving Adaptive Rounding" (2025).
struct FeedbackRounder {
  /// The factor of what the matrix reads; nil rounds each number by itself.
  var factor: FeedbackFactor?
  /// What the values of each input channel were multiplied by, and the weights divided by.
  var units: [Float]?
  /// The factor of the gradients at what the matrix makes; nil rounds each row by itself.
  var outputs: FeedbackFactor?
  /// What each row was multiplied by.
  var rowUnits: [Float]?
  /// The smallest and largest integer are −limit and limit, at most 127.
  var limit: Int
  /// The integers there are, where not all up to the limit; prices are not heeded then.
  var codebook: Codebook?
  /// Bits of each integer, by its value plus 128, when choices weigh bits.
  var prices: [Float]?
  /// Bits that a squared error of one step is worth in a channel of mean cost.
  var exchange: Float = 8.66

  private static let lanes = 16

  /// A rounder without prices or row feedback.
  init(factor: FeedbackFactor?, limit: Int, units: [Float]? = nil) {
    self.factor = factor
    self.limit = limit
    self.units = units
  }

  /// Rounds all rows.
  ///
  /// - Parameters:
  ///   - matrix: row-major numbers.
  ///   - steps: of each row; zero gives a row of zeros.
  /// - Returns: row-major integers.
  func round(_ matrix: MigratedMatrix, steps: [Float]) -> [Int8] {
    rounded(matrix, steps: steps).integers
  }

  /// Rounds all rows, and says what the error left in each costs: `e H eᵀ` of the error after row
  /// feedback. Without a factor the losses are zero.
  func rounded(
    _ matrix: MigratedMatrix, steps: [Float]
  ) -> (integers: [Int8], losses: [Float]) {
    if let outputs, outputs.size == matrix.rows {
      return roundedByRows(matrix, steps: steps, outputs)
    }
    let (rows, columns) = (matrix.rows, matrix.columns)
    let plan = ChannelPlan(self, columns: columns)
    var losses = [Float](repeating: 0, count: rows)
    let integers = [Int8](unsafeUninitializedCapacity: rows * columns) { buffer, filled in
      filled = rows * columns
      guard let base = buffer.baseAddress else { return }
      nonisolated(unsafe) let out = base
      losses.withUnsafeMutableBufferPointer { losses in
        nonisolated(unsafe) let losses = losses
        matrix.values.withUnsafeBufferPointer { values in
          steps.withUnsafeBufferPointer { steps in
            guard let first = values.baseAddress, let firstStep = steps.baseAddress,
              let firstLoss = losses.baseAddress
            else { return }
            nonisolated(unsafe) let (from, steps, losses) = (first, firstStep, firstLoss)
            let groups = (rows + Self.lanes - 1) / Self.lanes
            Parallel.ranges(groups, grain: max(1, min(16, groups / 8))) { range in
              withUnsafeTemporaryAllocation(of: Float.self, capacity: columns * Self.lanes) {
                guard let errors = $0.baseAddress else { return }
                for group in range {
                  let first = group * Self.lanes
                  let count = min(Self.lanes, rows - first)
                  roundGroup(
                    from + first * columns, count: count, plan: plan, steps: steps + first,
                    errors: errors, out: out + first * columns, losses: losses + first, rows: nil)
                }
              }
            }
          }
        }
      }
    }
    return (integers, losses)
  }

  /// Rounds groups of rows one after the other, each taking over what the rows before left.
  private func roundedByRows(
    _ matrix: MigratedMatrix, steps: [Float], _ outputs: FeedbackFactor
  ) -> (integers: [Int8], losses: [Float]) {
    let (rows, columns) = (matrix.rows, matrix.columns)
    let plan = ChannelPlan(self, columns: columns)
    // Rows in the order of the factor, and in the units of what they make.
    let order = outputs.order
    let scales = order.map { 1 / (rowUnits?[$0] ?? 1) }
    let orderedSteps = order.enumerated().map { steps[$1] * scales[$0] }
    var targets = [Float](repeating: 0, count: rows * columns)
    for (to, row) in order.enumerated() {
      for c in 0..<columns {
        targets[to * columns + c] = matrix.values[row * columns + c] * scales[to]
      }
    }
    let originals = targets
    var integers = [Int8](repeating: 0, count: rows * columns)
    var losses = [Float](repeating: 0, count: rows)
    var left = [Float](repeating: 0, count: Self.lanes * columns)
    let errors = UnsafeMutablePointer<Float>.allocate(capacity: columns * Self.lanes)
    defer { errors.deallocate() }
    // Coefficients among the rows of a group.
    var among = [Float](repeating: 0, count: Self.lanes * Self.lanes)
    for first in stride(from: 0, to: rows, by: Self.lanes) {
      let count = min(Self.lanes, rows - first)
      for l in 0..<count {
        let start = FeedbackFactor.start(first + l) + first
        for p in 0..<l { among[l * Self.lanes + p] = outputs.feedback[start + p] }
      }
      targets.withUnsafeMutableBufferPointer { targets in
        integers.withUnsafeMutableBufferPointer { integers in
          losses.withUnsafeMutableBufferPointer { losses in
            orderedSteps.withUnsafeBufferPointer { steps in
              among.withUnsafeBufferPointer { among in
                originals.withUnsafeBufferPointer { originals in
                  left.withUnsafeMutableBufferPointer { left in
                    guard let targets = targets.baseAddress, let integers = integers.baseAddress,
                      let losses = losses.baseAddress, let steps = steps.baseAddress,
                      let among = among.baseAddress, let originals = originals.baseAddress,
                      let left = left.baseAddress
                    else { return }
                    roundGroup(
                      targets + first * columns, count: count, plan: plan, steps: steps + first,
                      errors: errors, out: integers + first * columns, losses: losses + first,
                      rows: RowFeedback(
                        among: among, originals: originals + first * columns, left: left))
                    Self.handOn(
                      left, count: count, columns: columns, after: first, rows: rows,
                      outputs.feedback, targets)
                  }
                }
              }
            }
          }
        }
      }
    }
    // Back into the order of the matrix.
    var result = [Int8](repeating: 0, count: rows * columns)
    var lost = losses
    for (from, row) in order.enumerated() {
      lost[row] = losses[from]
      for c in 0..<columns { result[row * columns + c] = integers[from * columns + c] }
    }
    return (result, lost)
  }

  /// Adds what a group of rows left to the targets of all later rows.
  private static func handOn(
    _ left: UnsafePointer<Float>, count: Int, columns: Int, after first: Int, rows: Int,
    _ feedback: [Float], _ targets: UnsafeMutablePointer<Float>
  ) {
    typealias Wide = SIMD8<Float>
    feedback.withUnsafeBufferPointer { feedback in
      guard let feedback = feedback.baseAddress else { return }
      for row in first + count..<max(rows, first + count) {
        let coefficients = feedback + FeedbackFactor.start(row) + first
        let target = targets + row * columns
        var c = 0
        while c + 8 <= columns {
          let to = UnsafeMutableRawPointer(target + c)
          var sum = to.loadUnaligned(as: Wide.self)
          for p in 0..<count {
            sum +=
              UnsafeRawPointer(left + p * columns + c).loadUnaligned(as: Wide.self)
              * coefficients[p]
          }
          to.storeBytes(of: sum, as: Wide.self)
          c += 8
        }
        while c < columns {
          for p in 0..<count { target[c] += left[p * columns + c] * coefficients[p] }
          c += 1
        }
      }
    }
  }

  /// What a group of rows needs to take over from one another.
  private struct RowFeedback {
    /// Coefficients `[lanes, lanes]` of the earlier rows of the group.
    let among: UnsafePointer<Float>
    /// The rows' own numbers; their targets include what earlier groups left.
    let originals: UnsafePointer<Float>
    /// Gets the rows' own errors.
    let left: UnsafeMutablePointer<Float>
  }

  /// What all groups share, by the order in which channels are rounded.
  private struct ChannelPlan {
    let columns: Int
    /// The column of the matrix.
    var order: [Int]
    /// Errors are kept times this.
    var units: [Float]
    /// Bits of a squared error of one step.
    var worth: [Float]
    /// What a squared error in the matrix' own numbers costs.
    var costs: [Float]

    init(_ rounder: FeedbackRounder, columns: Int) {
      self.columns = columns
      order = rounder.factor?.order ?? Array(0..<columns)
      let given = rounder.units
      units = order.map { given?[$0] ?? 1 }
      costs = rounder.factor?.costs ?? []
      for i in costs.indices { costs[i] *= units[i] * units[i] }
      let mean = costs.reduce(0, +) / Float(max(columns, 1))
      worth =
        costs.isEmpty
        ? [Float](repeating: rounder.exchange, count: columns)
        : costs.map { rounder.exchange * $0 / max(mean, 1e-38) }
    }
  }

  /// Rounds up to sixteen rows side by side.
  private func roundGroup(
    _ from: UnsafePointer<Float>, count: Int, plan: ChannelPlan, steps: UnsafePointer<Float>,
    errors: UnsafeMutablePointer<Float>, out: UnsafeMutablePointer<Int8>,
    losses: UnsafeMutablePointer<Float>, rows: RowFeedback?
  ) {
    typealias Lanes = SIMD4<Float>
    let k = plan.columns
    var inverse = [Float](repeating: 0, count: Self.lanes)
    var step = inverse
    for lane in 0..<count where steps[lane] > 0 {
      step[lane] = steps[lane]
      inverse[lane] = 1 / steps[lane]
    }
    for lane in 0..<count { losses[lane] = 0 }
    let bound = Float(limit)
    func each(
      _ feedback: UnsafePointer<Float>?, _ prices: UnsafePointer<Float>?,
      _ nearest: UnsafePointer<Float>?
    ) {
      withUnsafeTemporaryAllocation(of: Float.self, capacity: Self.lanes) { room in
        guard let asked = room.baseAddress else { return }
        for i in 0..<k {
          let column = plan.order[i]
          var (a0, a1, a2, a3) = (Lanes.zero, Lanes.zero, Lanes.zero, Lanes.zero)
          if let feedback {
            let coefficients = feedback + FeedbackFactor.start(i)
            for j in 0..<i {
              let c = coefficients[j]
              let e = UnsafeRawPointer(errors + j * Self.lanes)
              a0 += e.loadUnaligned(as: Lanes.self) * c
              a1 += e.loadUnaligned(fromByteOffset: 16, as: Lanes.self) * c
              a2 += e.loadUnaligned(fromByteOffset: 32, as: Lanes.self) * c
              a3 += e.loadUnaligned(fromByteOffset: 48, as: Lanes.self) * c
            }
          }
          let raw = UnsafeMutableRawPointer(asked)
          raw.storeBytes(of: a0, as: Lanes.self)
          raw.storeBytes(of: a1, toByteOffset: 16, as: Lanes.self)
          raw.storeBytes(of: a2, toByteOffset: 32, as: Lanes.self)
          raw.storeBytes(of: a3, toByteOffset: 48, as: Lanes.self)
          let worth = plan.worth[i]
          let unit = plan.units[i]
          let perUnit = 1 / unit
          let cost = plan.costs.isEmpty ? 0 : plan.costs[i]
          for lane in 0..<Self.lanes {
            guard lane < count else {
              errors[i * Self.lanes + lane] = 0
              continue
            }
            let at = lane * k + column
            var value = from[at]
            if let rows {
              for p in 0..<lane {
                value += rows.among[lane * Self.lanes + p] * rows.left[p * k + column]
              }
            }
            let wanted = value + asked[lane] * perUnit
            let target = min(max(wanted * inverse[lane], -bound), bound)
            // Adding and taking away this number rounds to the nearest even.
            var q = (target + 0x1.8p23) - 0x1.8p23
            if let nearest {
              q = nearest[Codebook.entry(target)]
            } else if let prices, q != 0 {
              q = Self.cheapest(target, q, worth, prices)
            }
            out[at] = Int8(q)
            let made = q * step[lane]
            errors[i * Self.lanes + lane] = (value - made) * unit
            losses[lane] += cost * (wanted - made) * (wanted - made)
            if let rows { rows.left[lane * k + column] = rows.originals[at] - made }
          }
        }
      }
    }
    func withFactor(_ prices: UnsafePointer<Float>?, _ nearest: UnsafePointer<Float>?) {
      guard let factor else { return each(nil, prices, nearest) }
      factor.feedback.withUnsafeBufferPointer { each($0.baseAddress, prices, nearest) }
    }
    if let codebook {
      codebook.nearest.withUnsafeBufferPointer { withFactor(nil, $0.baseAddress) }
    } else if let prices {
      prices.withUnsafeBufferPointer { withFactor($0.baseAddress, nil) }
    } else {
      withFactor(nil, nil)
    }
  }

  /// The cheapest of the nearest integer and the two next to it towards zero.
  @inline(__always)
  private static func cheapest(
    _ target: Float, _ nearest: Float, _ worth: Float, _ prices: UnsafePointer<Float>
  ) -> Float {
    let sign: Float = nearest > 0 ? 1 : -1
    var best = nearest
    var least = worth * (target - nearest) * (target - nearest) + prices[Int(nearest) + 128]
    var candidate = nearest - sign
    for _ in 0..<2 {
      let cost = worth * (target - candidate) * (target - candidate) + prices[Int(candidate) + 128]
      if cost < least {
        least = cost
        best = candidate
      }
      if candidate == 0 { break }
      candidate -= sign
    }
    return best
  }
}
