import Foundation
import Reference

/// The few integers that a matrix' weights may become, chosen for the matrix: for decoders that read
/// indices of a table, as the fixed 4-bit format of the Ethos-U85.
///
/// All rows share the table and keep steps of their own, because the hardware scales output channels.
/// The values are those that err least on a histogram of the weights in steps of their rows, each weight
/// counted by what an error in it costs: Lloyd, "Least squares quantization in PCM" (1982), weighted as in
/// Kim et al., "SqueezeLLM" (2023). The start is the quantiles of a normal distribution (Dettmers et
/// al., "QLoRA", 2023). Zero is always one of them: padding of streams is zero.
struct Codebook: Equatable {
  /// The integers, ascending, within −127…127, zero among them.
  let values: [Int8]
  /// The value nearest to each half step: entry `i` serves targets from `(i − 256) / 2` to half a step more. Midpoints
  /// of integers are multiples of a half, so the choice is exact.
  let nearest: [Float]

  /// Most values that the fixed 4-bit format of the Ethos-U85 tells apart.
  static let mostValues = 16

  /// A codebook of given integers, to which zero is added.
  init(_ given: some Sequence<Int8>) {
    let values = Set(given.map { max($0, -127) }).union([0]).sorted()
    self.values = values
    var table = [Float](repeating: 0, count: 512)
    var at = 0
    for index in table.indices {
      // The middle of the entry's half step, in quarters.
      let place = 2 * (index - 256) + 1
      func distance(_ value: Int8) -> Int { abs(4 * Int(value) - place) }
      while at + 1 < values.count, distance(values[at + 1]) < distance(values[at]) { at += 1 }
      table[index] = Float(values[at])
    }
    nearest = table
  }

  /// The nearest value to a target in steps.
  func value(_ target: Float) -> Float { nearest[Self.entry(target)] }

  /// The entry of ``nearest`` that serves a target.
  @inline(__always)
  static func entry(_ target: Float) -> Int { Int(min(max(target, -127), 127) * 2 + 256) }

  // MARK: Choosing the values

  /// The codebook of `size` values for a matrix, and the step of each row.
  ///
  /// - Parameters:
  ///   - columnCosts: what a squared error costs in each column.
  ///   - rowCosts: and in each row.
  ///   - size: 2 to 127 values, zero included.
  static func fit(
    _ matrix: MigratedMatrix, columnCosts: [Float], rowCosts: [Float], size: Int
  ) -> (codebook: Codebook, steps: [Float]) {
    // Rows that stand for all of them while values are sought.
    let chosen = Swift.stride(from: 0, to: matrix.rows, by: max(1, matrix.rows / 512)).map { $0 }
    let sample = matrix.picking(chosen)
    let costs = chosen.map { rowCosts[$0] }
    var book = Codebook(rounding: normal(size))
    for _ in 0..<rounds {
      let steps = book.steps(sample, columnCosts: columnCosts)
      var histogram = Histogram()
      histogram.add(sample, steps: steps, columnCosts: columnCosts, rowCosts: costs)
      let better = Codebook(rounding: histogram.refined(book.values.map { Double($0) }))
      if better == book { break }
      book = better
    }
    return (book, book.steps(matrix, columnCosts: columnCosts))
  }

  /// How often steps and values are chosen in turn.
  private static let rounds = 8

  /// The integers of a table of numbers, scaled to end at 127.
  private init(rounding numbers: [Double]) {
    let largest = numbers.reduce(0) { max($0, abs($1)) }
    self.init(numbers.map { Int8(($0 / max(largest, 1e-30) * 127).rounded()) })
  }

  /// Quantiles of a normal distribution around zero, half of them on either side.
  private static func normal(_ size: Int) -> [Double] {
    let above = size / 2
    let below = size - 1 - above
    func side(_ count: Int) -> [Double] {
      (0..<count).map { quantile(0.5 + 0.47 * Double($0 + 1) / Double(count)) }
    }
    return side(below).map { -$0 } + [0] + side(above)
  }

  /// The number below which a normal variable is with the given probability, by bisection.
  private static func quantile(_ probability: Double) -> Double {
    var (low, high) = (-8.0, 8.0)
    for _ in 0..<60 {
      let middle = (low + high) / 2
      if 0.5 * erfc(-middle / 2.0.squareRoot()) < probability {
        low = middle
      } else {
        high = middle
      }
    }
    return (low + high) / 2
  }

  // MARK: Steps

  /// The step of each row with the least weighted error of plain rounding; zero for a row of zeros.
  func steps(_ matrix: MigratedMatrix, columnCosts: [Float]) -> [Float] {
    var steps = [Float](repeating: 0, count: matrix.rows)
    steps.withUnsafeMutableBufferPointer { steps in
      nonisolated(unsafe) let out = steps
      matrix.values.withUnsafeBufferPointer { values in
        columnCosts.withUnsafeBufferPointer { costs in
          nearest.withUnsafeBufferPointer { nearest in
            nonisolated(unsafe) let (from, costs, nearest) = (values, costs, nearest)
            let columns = matrix.columns
            Parallel.ranges(matrix.rows, grain: max(1, 16384 / max(columns, 1))) { range in
              for row in range {
                out[row] = Self.step(
                  UnsafeBufferPointer(rebasing: from[row * columns..<(row + 1) * columns]),
                  costs, nearest)
              }
            }
          }
        }
      }
    }
    return steps
  }

  private static func step(
    _ row: UnsafeBufferPointer<Float>, _ costs: UnsafeBufferPointer<Float>,
    _ nearest: UnsafeBufferPointer<Float>
  ) -> Float {
    var largest: Float = 0
    for v in row { largest = max(largest, abs(v)) }
    guard largest > 1e-30 else { return 0 }
    var best = largest / 127
    var least = Float.infinity
    for attempt in 0..<24 {
      let step = largest / 127 * (1.1 - 0.03 * Float(attempt))
      let (error, fitted) = error(row, costs, nearest, step)
      if error < least {
        least = error
        best = fitted
      }
    }
    return best
  }

  /// The weighted error of a step's choices once the step is fitted to them, and that fitted step.
  private static func error(
    _ row: UnsafeBufferPointer<Float>, _ costs: UnsafeBufferPointer<Float>,
    _ nearest: UnsafeBufferPointer<Float>, _ step: Float
  ) -> (error: Float, step: Float) {
    let inverse = 1 / step
    var (squares, products, norm): (Float, Float, Float) = (0, 0, 0)
    for c in row.indices {
      let q = nearest[entry(row[c] * inverse)]
      let weighted = costs[c] * q
      squares += weighted * q
      products += weighted * row[c]
      norm += costs[c] * row[c] * row[c]
    }
    guard squares > 0, products > 0 else { return (norm, step) }
    return (norm - products * products / squares, products / squares)
  }

  // MARK: Lloyd's iteration

  /// Weights by their size in steps, each counted by its cost.
  private struct Histogram {
    private static let (bins, reach) = (4096, 256.0)
    private var weight = [Double](repeating: 0, count: bins)
    private var moment = [Double](repeating: 0, count: bins)

    mutating func add(
      _ matrix: MigratedMatrix, steps: [Float], columnCosts: [Float], rowCosts: [Float]
    ) {
      let scale = Double(Self.bins) / (2 * Self.reach)
      for row in 0..<matrix.rows where steps[row] > 0 {
        let inverse = 1 / Double(steps[row])
        let cost = Double(rowCosts[row]) * Double(steps[row]) * Double(steps[row])
        for c in 0..<matrix.columns {
          let value = Double(matrix.values[row * matrix.columns + c]) * inverse
          let bin = Int(min(max((value + Self.reach) * scale, 0), Double(Self.bins - 1)))
          let share = cost * Double(columnCosts[c])
          weight[bin] += share
          moment[bin] += share * value
        }
      }
    }

    /// Values that err less, from those given: ascending, zero among them and kept.
    func refined(_ start: [Double]) -> [Double] {
      var values = start
      for _ in 0..<40 {
        var weights = [Double](repeating: 0, count: values.count)
        var moments = weights
        var at = 0
        for bin in 0..<Self.bins where weight[bin] > 0 {
          let place = moment[bin] / weight[bin]
          while at + 1 < values.count, place > (values[at] + values[at + 1]) / 2 { at += 1 }
          weights[at] += weight[bin]
          moments[at] += moment[bin]
        }
        var moved = 0.0
        for k in values.indices where values[k] != 0 && weights[k] > 0 {
          let mean = moments[k] / weights[k]
          moved = max(moved, abs(mean - values[k]))
          // Zero belongs to one value alone.
          if mean * values[k] > 0 { values[k] = mean }
        }
        if moved < 0.05 { break }
      }
      return values
    }
  }
}
