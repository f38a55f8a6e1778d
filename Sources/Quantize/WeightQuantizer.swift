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
    /// The integers there are, where not all are.
    var codebook: Codebook?

    /// Rounds rows whose scale is below the given one to that.
    mutating func raise(to least: [Float], columns: Int) {
      // A step more, so that what was to fit does so after rounding.
      let wanted = least.map { $0 * (1 + 0x1p-20) }
      let rows = scales.indices.filter { $0 < wanted.count && scales[$0] < wanted[$0] }
      guard !rows.isEmpty else { return }
      var raised = bytes.withBytes { [UInt8]($0) }
      for row in rows {
        let factor = scales[row] / wanted[row]
        for index in row * columns..<(row + 1) * columns {
          let smaller = Float(Int8(bitPattern: raised[index])) * factor
          let step = codebook?.value(smaller) ?? smaller.rounded()
          raised[index] = UInt8(bitPattern: Int8(step))
        }
        scales[row] = wanted[row]
      }
      bytes = ByteSource(raised)
    }
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
                to[c] = UInt8(bitPattern: Int8(Self.step(row[c] * inverse)))
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
    guard let importance, let values = row.baseAddress else { return full }
    return importance.withUnsafeBufferPointer { importance in
      guard let weights = importance.baseAddress, importance.count == row.count else {
        return full
      }
      return search(row, values, weights, full: full)
    }
  }

  /// Adding and taking away this number rounds a small float to a whole one, halves to even; unlike
  /// `rounded()` that needs no call on processors without a rounding instruction.
  private static let magic: Float = 0x1.8p23

  /// The nearest step in −127 … 127.
  @inline(__always)
  private static func step(_ v: Float) -> Float {
    (min(max(v, -127), 127) + magic) - magic
  }

  /// The scale with the least weighted error among nine from `full` downwards.
  private static func search(
    _ row: UnsafeBufferPointer<Float>, _ values: UnsafePointer<Float>,
    _ weights: UnsafePointer<Float>, full: Float
  ) -> Float {
    let limits = SIMD8<Float>(repeating: 127)
    let magic = SIMD8<Float>(repeating: Self.magic)
    var best = full
    var least = Float.infinity
    for step in 0..<9 {
      let scale = full * (1 - 0.03 * Float(step))
      let inverse = 1 / scale
      var lanes = SIMD8<Float>.zero
      var c = 0
      while c + 8 <= row.count {
        let v = UnsafeRawPointer(values + c).loadUnaligned(as: SIMD8<Float>.self)
        let weight = UnsafeRawPointer(weights + c).loadUnaligned(as: SIMD8<Float>.self)
        let scaled = (v * inverse).clamped(lowerBound: -limits, upperBound: limits)
        let difference = v - ((scaled + magic) - magic) * scale
        lanes += weight * difference * difference
        c += 8
      }
      var error = lanes.sum()
      while c < row.count {
        let difference = values[c] - Self.step(values[c] * inverse) * scale
        error += weights[c] * difference * difference
        c += 1
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
