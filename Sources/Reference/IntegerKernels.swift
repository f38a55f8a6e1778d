import TensorCore

/// The operations of `Docs/Numerics.md`, each under the name it has there. Arguments are known to
/// fit: the interpreter checks shapes and attributes before anything runs.
enum IntegerKernels {
  /// `embedding`: rows of an int8 table on the residual scale.
  static func embedding(
    _ ids: [Int32], table: UnsafePointer<Int8>, d: Int, multipliers: [Int32], shift: Int,
    out: UnsafeMutablePointer<Int32>
  ) {
    for (t, id) in ids.enumerated() {
      let row = table + Int(id) * d
      let multiplier = Int64(multipliers[Int(id)])
      for i in 0..<d {
        out[t * d + i] = Int32(
          truncatingIfNeeded: Natural.shift(Int64(row[i]) &* multiplier, Int64(shift)))
      }
    }
  }

  /// Steps 1 to 4 of `rms_norm`: the reciprocal root of a row's mean square, and the right shift
  /// that leaves 22 fraction bits.
  static func rmsFactor(
    _ x: UnsafePointer<Int32>, d: Int, eps: UInt64
  ) -> (reciprocal: Int64, shift: Int64) {
    var top: UInt32 = 0
    for i in 0..<d { top = max(top, x[i].magnitude) }
    let p = max(0, 32 - top.leadingZeroBitCount - 24)
    var squares: UInt64 = 0
    var overflowed = false
    for i in 0..<d {
      let v = Int64(x[i] >> Int32(p))
      let (sum, overflow) = squares.addingReportingOverflow(UInt64(bitPattern: v &* v))
      squares = sum
      overflowed = overflowed || overflow
    }
    if overflowed { squares = .max }
    let (sum, overflow) = (squares / UInt64(d)).addingReportingOverflow(eps >> UInt64(2 * p))
    let v = max(1, overflow ? .max : sum)
    let j = v.leadingZeroBitCount / 2
    let root = Self.root(v << UInt64(2 * j))
    return (Int64((UInt64(1) << 62) / root), Int64(40 - j + p))
  }

  /// The floor of the square root of a number of at least 2^62.
  static func root(_ u: UInt64) -> UInt64 {
    var root = UInt64(min(Double(u).squareRoot(), Double(UInt32.max)))
    while root.multipliedFullWidth(by: root) > (0, u) { root -= 1 }
    while root < UInt64(UInt32.max), (root + 1) * (root + 1) <= u { root += 1 }
    return root
  }

  /// `rms_norm` with a 16-bit result.
  static func rmsNorm16(
    _ x: UnsafePointer<Int32>, n: Int, d: Int, gamma: [Int32], eps: UInt64, shift: Int,
    out: UnsafeMutablePointer<Int16>
  ) {
    for t in 0..<n {
      let row = x + t * d
      let (r, s) = rmsFactor(row, d: d, eps: eps)
      for i in 0..<d {
        let normalised = Natural.shift(Int64(row[i]) &* r, s)
        out[t * d + i] = Natural.sat16(
          Natural.shift(normalised &* Int64(gamma[i]), Int64(shift)))
      }
    }
  }

  /// `rms_norm` with an 8-bit result.
  static func rmsNorm8(
    _ x: UnsafePointer<Int32>, n: Int, d: Int, gamma: [Int32], eps: UInt64, shift: Int,
    out: UnsafeMutablePointer<Int8>
  ) {
    for t in 0..<n {
      let row = x + t * d
      let (r, s) = rmsFactor(row, d: d, eps: eps)
      for i in 0..<d {
        let normalised = Natural.shift(Int64(row[i]) &* r, s)
        out[t * d + i] = Natural.sat8(
          Natural.shift(normalised &* Int64(gamma[i]), Int64(shift)))
      }
    }
  }

  /// `rope` over the heads of each row.
  static func rope(
    _ x: UnsafePointer<Int16>, n: Int, width: Int, headDim: Int, position: Int,
    table: UnsafePointer<Int16>, out: UnsafeMutablePointer<Int16>
  ) {
    for t in 0..<n {
      let angles = table + (position + t) * headDim
      for base in stride(from: t * width, to: (t + 1) * width, by: headDim) {
        for i in stride(from: 0, to: headDim, by: 2) {
          let (c, s) = (Int64(angles[i]), Int64(angles[i + 1]))
          let (a, b) = (Int64(x[base + i]), Int64(x[base + i + 1]))
          out[base + i] = Natural.sat16(Natural.shift(a &* c &- b &* s, 14))
          out[base + i + 1] = Natural.sat16(Natural.shift(a &* s &+ b &* c, 14))
        }
      }
    }
  }

  /// `kv_write` of `n` rows into a cache `[kvHeads, context, headDim]`.
  static func kvWrite(
    _ x: UnsafePointer<Int16>, n: Int, kvHeads: Int, headDim: Int, context: Int, position: Int,
    offsets: [Int16], multipliers: [Int32], shifts: [Int32], cache: UnsafeMutablePointer<Int8>
  ) {
    for t in 0..<n {
      for h in 0..<kvHeads {
        let from = x + (t * kvHeads + h) * headDim
        let to = cache + (h * context + position + t) * headDim
        let (m, s) = (Int64(multipliers[h]), Int64(shifts[h]))
        for i in 0..<headDim {
          let centred = Int64(from[i]) &- Int64(offsets[h * headDim + i])
          to[i] = Natural.symsat8(Natural.shift(centred &* m, s))
        }
      }
    }
  }

  /// `lut`.
  static func lut(
    _ x: UnsafePointer<Int16>, count: Int, table: [UInt32], out: UnsafeMutablePointer<Int16>
  ) {
    for i in 0..<count {
      let v = Int(x[i])
      let entry = table[(v + 32768) >> 7]
      let base = Int64(Int16(truncatingIfNeeded: entry))
      let slope = Int64(Int16(truncatingIfNeeded: entry >> 16))
      out[i] = Natural.sat16(base &+ (slope &* Int64(v & 127) &+ 64) >> 7)
    }
  }

  /// `mul` before its saturation.
  @inline(__always)
  static func product(_ a: Int16, _ b: Int16, _ multiplier: Int64, _ shift: Int64) -> Int64 {
    Natural.shift(Int64(a) &* Int64(b) &* multiplier, shift)
  }
}
