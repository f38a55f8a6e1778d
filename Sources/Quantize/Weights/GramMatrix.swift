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

  private static let rowTile = 4
  private static let columnTile = 8

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
    let k = size
    values.withUnsafeMutableBufferPointer { values in
      guard let base = values.baseAddress else { return }
      nonisolated(unsafe) let out = base
      nonisolated(unsafe) let x = x
      Parallel.ranges(k, grain: max(Self.rowTile, (k / 16) & ~(Self.rowTile - 1))) { range in
        for i in stride(from: range.lowerBound, to: range.upperBound, by: Self.rowTile) {
          let height = min(Self.rowTile, range.upperBound - i)
          var j = i / Self.columnTile * Self.columnTile
          while j < k {
            if height == Self.rowTile, j + Self.columnTile <= k {
              Self.tile(x, count, k, i, j, out)
            } else {
              for r in i..<i + height {
                for c in j..<min(j + Self.columnTile, k) {
                  var sum = out[r * k + c]
                  for t in 0..<count { sum += x[t * k + r] * x[t * k + c] }
                  out[r * k + c] = sum
                }
              }
            }
            j += Self.columnTile
          }
        }
      }
    }
  }

  /// Four rows by eight columns.
  @inline(__always)
  private static func tile(
    _ x: UnsafePointer<Float>, _ count: Int, _ k: Int, _ i: Int, _ j: Int,
    _ out: UnsafeMutablePointer<Float>
  ) {
    typealias Lanes = SIMD4<Float>
    func load(_ at: Int) -> Lanes {
      UnsafeRawPointer(out + at).loadUnaligned(as: Lanes.self)
    }
    var (a0, a1) = (load(i * k + j), load(i * k + j + 4))
    var (b0, b1) = (load((i + 1) * k + j), load((i + 1) * k + j + 4))
    var (c0, c1) = (load((i + 2) * k + j), load((i + 2) * k + j + 4))
    var (d0, d1) = (load((i + 3) * k + j), load((i + 3) * k + j + 4))
    for t in 0..<count {
      let row = x + t * k
      let p = UnsafeRawPointer(row + j).loadUnaligned(as: Lanes.self)
      let q = UnsafeRawPointer(row + j + 4).loadUnaligned(as: Lanes.self)
      a0 += p * row[i]
      a1 += q * row[i]
      b0 += p * row[i + 1]
      b1 += q * row[i + 1]
      c0 += p * row[i + 2]
      c1 += q * row[i + 2]
      d0 += p * row[i + 3]
      d1 += q * row[i + 3]
    }
    func store(_ v: Lanes, _ at: Int) {
      UnsafeMutableRawPointer(out + at).storeBytes(of: v, as: Lanes.self)
    }
    store(a0, i * k + j)
    store(a1, i * k + j + 4)
    store(b0, (i + 1) * k + j)
    store(b1, (i + 1) * k + j + 4)
    store(c0, (i + 2) * k + j)
    store(c1, (i + 2) * k + j + 4)
    store(d0, (i + 3) * k + j)
    store(d1, (i + 3) * k + j + 4)
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
