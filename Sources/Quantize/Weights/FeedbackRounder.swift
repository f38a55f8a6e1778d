import Reference

/// Rounds the rows of a matrix to integers, channel after channel, each taking over what the earlier
/// ones left (``FeedbackFactor``), and weighing the bits that each choice costs in the stream.
///
/// Without prices this is Frantar et al., "GPTQ" (2022). With prices every choice minimises
/// `cost · error² + bits`: rate–distortion optimised quantisation as video encoders do it (Sullivan &
/// Wiegand, "Rate-Distortion Optimization for Video Compression", 1998), with second-order feedback.
struct FeedbackRounder {
  /// The factor of what the matrix reads; nil rounds each number by itself.
  var factor: FeedbackFactor?
  /// The smallest and largest integer are −limit and limit, at most 127.
  var limit: Int
  /// Bits of each integer, by its value plus 128, when choices weigh bits.
  var prices: [Float]?
  /// Bits that a squared error of one step is worth in a channel of mean cost.
  var exchange: Float = 8.66

  private static let lanes = 16

  /// Rounds all rows.
  ///
  /// - Parameters:
  ///   - matrix: row-major numbers.
  ///   - steps: of each row; zero gives a row of zeros.
  /// - Returns: row-major integers.
  func round(_ matrix: MigratedMatrix, steps: [Float]) -> [Int8] {
    let (rows, columns) = (matrix.rows, matrix.columns)
    return [Int8](unsafeUninitializedCapacity: rows * columns) { buffer, filled in
      filled = rows * columns
      guard let base = buffer.baseAddress else { return }
      nonisolated(unsafe) let out = base
      matrix.values.withUnsafeBufferPointer { values in
        steps.withUnsafeBufferPointer { steps in
          guard let first = values.baseAddress, let firstStep = steps.baseAddress else { return }
          nonisolated(unsafe) let (from, steps) = (first, firstStep)
          let groups = (rows + Self.lanes - 1) / Self.lanes
          Parallel.ranges(groups, grain: max(1, min(16, groups / 8))) { range in
            withUnsafeTemporaryAllocation(of: Float.self, capacity: columns * Self.lanes) { room in
              guard let errors = room.baseAddress else { return }
              for group in range {
                roundGroup(
                  from, rows: group * Self.lanes..<min((group + 1) * Self.lanes, rows),
                  columns: columns, steps: steps, errors: errors, out: out)
              }
            }
          }
        }
      }
    }
  }

  /// Rounds up to sixteen rows side by side.
  private func roundGroup(
    _ from: UnsafePointer<Float>, rows: Range<Int>, columns: Int, steps: UnsafePointer<Float>,
    errors: UnsafeMutablePointer<Float>, out: UnsafeMutablePointer<Int8>
  ) {
    typealias Lanes = SIMD4<Float>
    let k = columns
    var inverse = [Float](repeating: 0, count: Self.lanes)
    var step = inverse
    for (lane, row) in rows.enumerated() where steps[row] > 0 {
      step[lane] = steps[row]
      inverse[lane] = 1 / steps[row]
    }
    let count = rows.count
    let bound = Float(limit)
    let meanCost = factor.map { $0.costs.reduce(0, +) / Float(max(k, 1)) } ?? 1
    let first = rows.lowerBound
    func each(
      _ order: UnsafePointer<Int>?, _ feedback: UnsafePointer<Float>?,
      _ costs: UnsafePointer<Float>?,
      _ prices: UnsafePointer<Float>?
    ) {
      withUnsafeTemporaryAllocation(of: Float.self, capacity: Self.lanes) { room in
        guard let asked = room.baseAddress else { return }
        for i in 0..<k {
          let column = order.map { $0[i] } ?? i
          var (a0, a1, a2, a3) = (Lanes.zero, Lanes.zero, Lanes.zero, Lanes.zero)
          if let feedback {
            let coefficients = feedback + i * k
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
          let worth = exchange * (costs.map { $0[i] / meanCost } ?? 1)
          for lane in 0..<Self.lanes {
            guard lane < count else {
              errors[i * Self.lanes + lane] = 0
              continue
            }
            let at = (first + lane) * k + column
            let value = from[at]
            let target = min(max((value + asked[lane]) * inverse[lane], -bound), bound)
            // Adding and taking away this number rounds to the nearest even.
            var q = (target + 0x1.8p23) - 0x1.8p23
            if let prices, q != 0 { q = Self.cheapest(target, q, worth, prices) }
            out[at] = Int8(q)
            errors[i * Self.lanes + lane] = value - q * step[lane]
          }
        }
      }
    }
    func withFactor(_ prices: UnsafePointer<Float>?) {
      guard let factor else { return each(nil, nil, nil, prices) }
      factor.order.withUnsafeBufferPointer { order in
        factor.feedback.withUnsafeBufferPointer { feedback in
          factor.costs.withUnsafeBufferPointer { costs in
            each(order.baseAddress, feedback.baseAddress, costs.baseAddress, prices)
          }
        }
      }
    }
    if let prices {
      prices.withUnsafeBufferPointer { withFactor($0.baseAddress) }
    } else {
      withFactor(nil)
    }
  }

  /// The cheapest of the nearest integer and the two next to it towards zero, and the one beyond.
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
