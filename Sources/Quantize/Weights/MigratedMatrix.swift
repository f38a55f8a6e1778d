import GraphIR
import Reference
import TensorCore

/// A weight matrix as it is after migration: pairs of rows turned, rows and columns scaled.
struct MigratedMatrix {
  /// Output channels.
  let rows: Int
  /// Input channels.
  let columns: Int
  /// Row-major numbers.
  let values: [Float]

  /// Reads a matrix; nil when it cannot be read or holds a number that is not finite.
  init?(
    _ data: ConstantData, rows: Int, columns: Int, rotations: [SIMD2<Float>]?,
    rowFactors: [Float]?, columnFactors: [Float]?
  ) {
    self.rows = rows
    self.columns = columns
    let trouble = Trouble()
    values = [Float](unsafeUninitializedCapacity: rows * columns) { buffer, filled in
      filled = rows * columns
      guard let base = buffer.baseAddress else { return }
      nonisolated(unsafe) let out = base
      let grain = max(2, (65536 / max(columns, 1)) & ~1)
      Parallel.ranges(rows, grain: grain) { range in
        let part = UnsafeMutableBufferPointer(
          start: out + range.lowerBound * columns, count: range.count * columns)
        let flat = range.lowerBound * columns..<range.upperBound * columns
        guard data.readFloats(flat, into: part) else {
          part.initialize(repeating: 0)
          trouble.raise()
          return
        }
        if let rotations {
          for r in stride(from: range.lowerBound, to: range.upperBound - 1, by: 2) {
            let turn = rotations[r / 2]
            let (a, b) = (out + r * columns, out + (r + 1) * columns)
            for c in 0..<columns {
              let (x, y) = (a[c], b[c])
              a[c] = turn.x * x - turn.y * y
              b[c] = turn.x * y + turn.y * x
            }
          }
        }
        var sum: Float = 0
        for r in range {
          let row = out + r * columns
          let factor = rowFactors?[r] ?? 1
          if let columnFactors {
            for c in 0..<columns { row[c] *= factor * columnFactors[c] }
          } else if factor != 1 {
            for c in 0..<columns { row[c] *= factor }
          }
          for c in 0..<columns { sum += row[c] * 0 }
        }
        if sum != 0 { trouble.raise() }
      }
    }
    if trouble.isRaised { return nil }
  }
}
