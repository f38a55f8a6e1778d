import Reference
import TensorCore

/// A matrix that already is on a grid: every row is a step times integers of few levels, as
/// quantisation-aware training leaves them (Li et al., "Ternary Weight Networks", 2016; Ma et al., "The
/// Era of 1-bit LLMs", 2024).
struct WeightGrid {
  /// Row-major integers.
  let integers: [Int8]
  /// The step of each row; zero for a row of zeros.
  let steps: [Float]
  /// Input channels.
  let columns: Int

  /// The share of a number by which it may miss its level: what rounding both it and the row's step to
  /// bfloat16 takes.
  private static let slack: Float = 0x1p-7
  /// Rows of fewer numbers may be on a grid by chance.
  private static let leastColumns = 16

  /// The grid of a matrix, with the largest step that explains each row; nil when a row has none, and for
  /// nothing but zeros.
  ///
  /// - Parameter limit: the largest integer there may be.
  init?(_ data: ConstantData, rows: Int, columns: Int, limit: Int) {
    guard rows > 0, columns >= Self.leastColumns, limit >= 1, limit <= 127 else { return nil }
    self.columns = columns
    var integers = [Int8](repeating: 0, count: rows * columns)
    var steps = [Float](repeating: 0, count: rows)
    let isOnGrid = withUnsafeTemporaryAllocation(of: Float.self, capacity: columns) { row in
      for r in 0..<rows {
        guard data.readFloats(r * columns..<(r + 1) * columns, into: row),
          let step = Self.step(UnsafeBufferPointer(row), limit: limit)
        else { return false }
        steps[r] = step
        guard step > 0 else { continue }
        for c in 0..<columns { integers[r * columns + c] = Int8((row[c] / step).rounded()) }
      }
      return true
    }
    guard isOnGrid, steps.contains(where: { $0 > 0 }) else { return nil }
    self.integers = integers
    self.steps = steps
  }

  /// The step of a row; zero for a row of zeros, nil for one that is on no such grid.
  private static func step(_ row: UnsafeBufferPointer<Float>, limit: Int) -> Float? {
    var least = Float.infinity
    var largest: Float = 0
    for v in row {
      guard v.isFinite else { return nil }
      largest = max(largest, abs(v))
      if v != 0 { least = min(least, abs(v)) }
    }
    guard largest > 0 else { return 0 }
    guard largest <= least * Float(limit) * (1 + slack) else { return nil }
    for divisor in 1...limit {
      let step = least / Float(divisor)
      guard (largest / step).rounded() <= Float(limit) else { return nil }
      var (products, squares): (Float, Float) = (0, 0)
      let fits = row.allSatisfy { v in
        let level = (v / step).rounded()
        products += level * v
        squares += level * level
        return abs(v - level * step) <= slack * abs(v)
      }
      if fits {
        // Where all levels are alike, the step is the number itself.
        return largest == least ? step : products / squares
      }
    }
    return nil
  }
}
