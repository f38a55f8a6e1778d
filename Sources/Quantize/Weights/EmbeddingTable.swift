import GraphIR
import Reference
import Support
import TensorCore

/// An embedding table of four bits: −7 … 7 times a factor of the column times a scale of the row.
///
/// A token's row is the first thing a model computes with, and its columns differ as those of the residual stream do:
/// with scales of rows alone a few large columns leave the others no steps. The factors cost the NPU nothing, as a
/// row is multiplied anyway. They go half way, in powers, from equal steps to equal numbers of steps, like the
/// migration of Xiao et al., "SmoothQuant" (2023); rows have the scale of least squared error.
struct EmbeddingTable {
  /// −7 … 7, row by row, a byte each.
  let bytes: ByteSource
  /// The scale of each row.
  let scales: [Float]
  /// The factor of each column, 1 … 127.
  let columns: [Int8]

  private static let limit: Float = 7
  /// Scales that are tried, 3 % of the largest apart.
  private static let choices = 24

  /// Rounds `[rows, columns]` numbers; nil when they are unreadable or not finite.
  init?(_ data: ConstantData, rows: Int, columns count: Int) {
    guard let factors = Self.factors(data, rows: rows, columns: count) else { return nil }
    let trouble = Trouble()
    var scales = [Float](repeating: 0, count: rows)
    let bytes = [UInt8](unsafeUninitializedCapacity: rows * count) { buffer, filled in
      filled = rows * count
      buffer.initialize(repeating: 0)
      guard let base = buffer.baseAddress else { return }
      scales.withUnsafeMutableBufferPointer { scales in
        guard let scaleBase = scales.baseAddress else { return }
        let out = Output(bytes: base, scales: scaleBase)
        Parallel.ranges(rows, grain: max(1, 16384 / max(count, 1))) { range in
          withUnsafeTemporaryAllocation(of: Float.self, capacity: count) { row in
            for r in range {
              guard data.readFloats(r * count..<(r + 1) * count, into: row) else {
                trouble.raise()
                return
              }
              for c in 0..<count { row[c] /= factors[c] }
              let scale = Self.scale(UnsafeBufferPointer(row), factors)
              guard scale > 0 else { continue }
              out.scales[r] = scale
              for c in 0..<count {
                out.bytes[r * count + c] = UInt8(bitPattern: Int8(Self.step(row[c] / scale)))
              }
            }
          }
        }
      }
    }
    guard !trouble.isRaised else { return nil }
    // Rows of zeros have a scale that fits beside the others.
    let least = scales.reduce(Float.infinity) { $1 > 0 ? min($0, $1) : $0 }
    self.scales = scales.map { $0 > 0 ? $0 : least.isFinite ? least : 1 }
    self.bytes = ByteSource(bytes)
    self.columns = factors.map { Int8($0) }
  }

  private struct Output: @unchecked Sendable {
    let bytes: UnsafeMutablePointer<UInt8>
    let scales: UnsafeMutablePointer<Float>
  }

  /// The root of each column's size relative to the largest, in steps of 1/127; nil for numbers that are none.
  private static func factors(_ data: ConstantData, rows: Int, columns: Int) -> [Float]? {
    var squares = [Double](repeating: 0, count: columns)
    var row = [Float](repeating: 0, count: columns)
    for r in 0..<rows {
      guard
        row.withUnsafeMutableBufferPointer({
          data.readFloats(r * columns..<(r + 1) * columns, into: $0)
        })
      else { return nil }
      for c in 0..<columns { squares[c] += Double(row[c]) * Double(row[c]) }
    }
    guard squares.allSatisfy(\.isFinite), let top = squares.max() else { return nil }
    return squares.map {
      top > 0 ? max((127 * Float(($0 / top).squareRoot().squareRoot())).rounded(), 1) : 1
    }
  }

  @inline(__always)
  private static func step(_ v: Float) -> Float { min(max(v.rounded(), -limit), limit) }

  /// The scale of a row with the least squared error; zero for one of zeros.
  private static func scale(_ row: UnsafeBufferPointer<Float>, _ factors: [Float]) -> Float {
    let top = row.reduce(Float(0)) { max($0, abs($1)) }
    guard top > 1e-30 else { return 0 }
    var best = (scale: top / limit, error: Float.infinity)
    for choice in 0..<choices {
      let scale = top / limit * (1 - 0.03 * Float(choice))
      var error: Float = 0
      for c in row.indices {
        let difference = (step(row[c] / scale) * scale - row[c]) * factors[c]
        error += difference * difference
      }
      if error < best.error { best = (scale, error) }
    }
    return best.scale
  }
}
