import Reference
import TensorCore

/// The sum of the outer products of rows, `XᵀX`: how much errors in a layer's weights matter, alone
/// and together.
final class GramMatrix {
  /// Rows and columns.
  let size: Int
  /// Row-major; only columns at and right of the diagonal's block are kept up to date until
  /// ``mean()``.
  private(set) var values: [Float]
  /// How many rows were added, each counted by its weight.
  private(set) var mass = 0.0
  private var squares = 0.0

  /// How many equally weighted rows would say as much.
  var effectiveRows: Double { squares > 0 ? mass * mass / squares : 0 }

  /// A sum of nothing.
  init(size: Int) {
    self.size = size
    values = [Float](repeating: 0, count: size * size)
  }

  /// Adds the outer products of `count` rows of `size` numbers, each times its weight.
  func add(_ x: UnsafePointer<Float>, rows count: Int, weights: [Float]) {
    guard weights.count == count else { return }
    mass += weights.reduce(0) { $0 + Double($1) }
    squares += weights.reduce(0) { $0 + Double($1) * Double($1) }
    withUnsafeTemporaryAllocation(of: Float.self, capacity: max(count * size, 1)) { room in
      guard let scaled = room.baseAddress else { return }
      for t in 0..<count {
        let factor = weights[t].squareRoot()
        for i in 0..<size { scaled[t * size + i] = x[t * size + i] * factor }
      }
      accumulate(scaled, rows: count)
    }
  }

  /// Adds the outer products of `count` rows of `size` numbers.
  func add(_ x: UnsafePointer<Float>, rows count: Int) {
    mass += Double(count)
    squares += Double(count)
    accumulate(x, rows: count)
  }

  private func accumulate(_ x: UnsafePointer<Float>, rows count: Int) {
    values.withUnsafeMutableBufferPointer { values in
      if let base = values.baseAddress {
        FloatProducts.addGram(x, rows: count, width: size, into: base)
      }
    }
  }

  /// The mean outer product, all of it; nil when no row was added.
  func mean() -> [Float]? {
    guard mass > 0 else { return nil }
    let k = size
    let factor = Float(1 / mass)
    for i in 0..<k {
      for j in i..<k {
        let v = values[i * k + j] * factor
        values[i * k + j] = v
        values[j * k + i] = v
      }
    }
    let result = values
    values = []
    mass = 0
    squares = 0
    return result
  }
}
