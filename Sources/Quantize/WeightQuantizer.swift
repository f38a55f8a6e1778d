import GraphIR
import Reference
import Support
import TensorCore

/// Turns float matrices into int8 with one scale per row, reading a few rows at a time.
enum WeightQuantizer {
  /// A quantised matrix.
  struct Result {
    var bytes: ByteSource
    var scales: [Float]
  }

  /// Quantises `[rows, columns]` numbers.
  ///
  /// - Parameters:
  ///   - rotations: rows 2i and 2i+1 are first turned by the angle `i`, (cos, sin).
  ///   - rowFactors: then each row is multiplied by its factor.
  ///   - columnFactors: so is each column.
  ///   - importance: how much an error in each column matters (mean square of what it meets); with
  ///     it every row's scale is searched for the least weighted error, without it the scale maps
  ///     the largest magnitude to 127.
  static func quantize(
    _ data: ConstantData, rows: Int, columns: Int, rotations: [SIMD2<Float>]?,
    rowFactors: [Float]?, columnFactors: [Float]?, importance: [Float]?
  ) -> Result? {
    let trouble = Trouble()
    var scales = [Float](repeating: 0, count: rows)
    var bytes = [UInt8](unsafeUninitializedCapacity: rows * columns) { buffer, filled in
      filled = rows * columns
      guard let base = buffer.baseAddress else { return }
      base.initialize(repeating: 0, count: rows * columns)
      scales.withUnsafeMutableBufferPointer { scales in
        guard let scaleBase = scales.baseAddress else { return }
        let out = Output(bytes: base, scales: scaleBase)
        Parallel.ranges(rows, grain: max(1, 65536 / max(columns, 1))) { range in
          withUnsafeTemporaryAllocation(of: Float.self, capacity: 2 * columns) { room in
            let row = UnsafeMutableBufferPointer(rebasing: room[0..<columns])
            let other = UnsafeMutableBufferPointer(rebasing: room[columns..<2 * columns])
            for r in range {
              guard data.readFloats(r * columns..<(r + 1) * columns, into: row) else {
                trouble.raise()
                return
              }
              if let turn = rotations?[r / 2] {
                let partner = r ^ 1
                guard data.readFloats(partner * columns..<(partner + 1) * columns, into: other)
                else {
                  trouble.raise()
                  return
                }
                let sine = r & 1 == 0 ? -turn.y : turn.y
                for c in 0..<columns { row[c] = turn.x * row[c] + sine * other[c] }
              }
              let factor = rowFactors?[r] ?? 1
              if let columnFactors {
                for c in 0..<columns { row[c] *= factor * columnFactors[c] }
              } else if factor != 1 {
                for c in 0..<columns { row[c] *= factor }
              }
              let scale = Self.scale(UnsafeBufferPointer(row), importance: importance)
              guard scale.isFinite else {
                trouble.raise()
                return
              }
              out.scales[r] = scale
              guard scale > 0 else { continue }
              let inverse = 1 / scale
              let to = out.bytes + r * columns
              for c in 0..<columns {
                let q = (row[c] * inverse).rounded(.toNearestOrEven)
                to[c] = UInt8(bitPattern: Int8(min(max(q, -127), 127)))
              }
            }
          }
        }
      }
    }
    guard !trouble.isRaised else { return nil }
    // A row of zeros, or nearly so, takes a scale near its neighbours': shifts stay within range.
    let largest = scales.max() ?? 0
    let least = largest > 0 ? largest * 0x1p-20 : 1
    for r in 0..<rows where scales[r] < least {
      for i in r * columns..<(r + 1) * columns where scales[r] > 0 {
        let q = (Float(Int8(bitPattern: bytes[i])) * (scales[r] / least)).rounded()
        bytes[i] = UInt8(bitPattern: Int8(q))
      }
      scales[r] = least
    }
    return Result(bytes: ByteSource(bytes), scales: scales)
  }

  /// The scale of one row; zero for a row too small to be represented, NaN for one with a NaN.
  private static func scale(
    _ row: UnsafeBufferPointer<Float>, importance: [Float]?
  ) -> Float {
    var largest: Float = 0
    var sum: Float = 0
    for v in row {
      largest = max(largest, abs(v))
      sum += v * 0
    }
    guard sum == 0 else { return .nan }
    guard largest > 1e-30 else { return 0 }
    let full = largest / 127
    guard let importance else { return full }
    var best = full
    var least = Float.infinity
    for step in 0..<9 {
      let scale = full * (1 - 0.03 * Float(step))
      let inverse = 1 / scale
      var error: Float = 0
      for (v, weight) in zip(row, importance) {
        let q = min(max((v * inverse).rounded(.toNearestOrEven), -127), 127)
        let difference = v - q * scale
        error += weight * difference * difference
      }
      if error < least {
        least = error
        best = scale
      }
    }
    return best
  }

  private struct Output: @unchecked Sendable {
    var bytes: UnsafeMutablePointer<UInt8>
    var scales: UnsafeMutablePointer<Float>
  }
}
