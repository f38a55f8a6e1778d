import TensorCore

/// The operations of `Docs/Numerics.md`, each under the name it has there. Arguments are known to
/// fit: the interpreter checks shapes and attributes before anything runs.
enum IntegerKernels {
  /// `embedding`: rows of a table on the residual scale, each column times its factor where there are some.
  static func embedding(
    _ ids: [Int32], table: UnsafePointer<Int8>, d: Int, multipliers: [Int32],
    columns: [Int8] = [], shift: Int, out: UnsafeMutablePointer<Int32>
  ) {
    for (t, id) in ids.enumerated() {
      let row = table + Int(id) * d
      let multiplier = Int64(multipliers[Int(id)])
      for i in 0..<d {
        let number = Int64(row[i]) &* (columns.isEmpty ? 1 : Int64(columns[i]))
        out[t * d + i] = Int32(
          truncatingIfNeeded: Natural.shift(number &* multiplier, Int64(shift)))
      }
    }
  }

  /// `rms_norm`: every result before saturation goes to `store` with its flat index. Rows that are alike
  /// are not made smaller first.
  static func rmsNorm(
    _ x: UnsafePointer<Int32>, n: Int, d: Int, _ norm: IntegerNorm, store: (Int, Int64) -> Void
  ) {
    if norm.form == .near { return nearNorm(x, n: n, d: d, norm, store: store) }
    let gamma = norm.gamma
    for t in 0..<n {
      let row = x + t * d
      var p: Int64 = 0
      if norm.form == .any {
        var size: Int32 = 0
        for i in 0..<d { size &+= row[i] < 0 ? 0 &- row[i] : row[i] }
        p = Int64(max(10 - UInt32(bitPattern: size).leadingZeroBitCount, 0))
      }
      var squares = squares(row, d, shift: p)
      squares &+= Int32(truncatingIfNeeded: Natural.shift(Int64(norm.eps), 2 &* p))
      let zeros = UInt32(bitPattern: squares).leadingZeroBitCount
      // A row too large for its sum to fit gives nothing, here as on the NPU.
      let f = zeros == 0 ? 63 : (zeros - 1) >> 1
      let code = Natural.sat16(
        min(Natural.shift(Int64((squares << f) << f), 18), Int64(FixedTables.largestRoot)))
      let factor = Int64(Int32(lookUp(code, FixedTables.shared)) << f)
      for i in 0..<d {
        let normal = Natural.shift(Natural.shift(Int64(row[i]), p) &* factor, 17)
        let low = Int64(Int32(truncatingIfNeeded: normal))
        store(t * d + i, Natural.shift(low &* Int64(gamma[i]), Int64(norm.shift)))
      }
    }
  }

  /// The sum of a row's squares in steps of 2^16, the low 32 bits; numbers are shifted first.
  private static func squares(_ row: UnsafePointer<Int32>, _ d: Int, shift: Int64) -> Int32 {
    var sum: Int32 = 0
    for i in 0..<d {
      let v = Natural.shift(Int64(row[i]), shift)
      sum &+= Int32(truncatingIfNeeded: Natural.shift(v &* v, 16))
    }
    return sum
  }

  private static func lookUp(_ code: Int16, _ table: [UInt32]) -> Int16 {
    table.withUnsafeBufferPointer {
      $0.baseAddress.map { FixedTables.value(code, $0) } ?? 0
    }
  }

  /// `rms_norm` of rows that are nearly the same in size: the inverse root comes from one look-up.
  private static func nearNorm(
    _ x: UnsafePointer<Int32>, n: Int, d: Int, _ norm: IntegerNorm, store: (Int, Int64) -> Void
  ) {
    for t in 0..<n {
      let row = x + t * d
      let addend = FixedTables.rootAddend(epsilon: norm.eps, shift: norm.rootShift)
      let code = Natural.shift(
        Int64(squares(row, d, shift: 0)) + Int64(addend), Int64(norm.rootShift))
      let root = Int64(
        lookUp(
          Natural.sat16(min(code, Int64(FixedTables.largestWideRoot))), FixedTables.roots))
      for i in 0..<d {
        let scaled = Natural.sat16(
          Natural.shift(Int64(row[i]) &* Int64(norm.gamma[i]), Int64(norm.rowShift)))
        store(
          t * d + i,
          Natural.shift(Int64(scaled) &* root &* Int64(norm.multiplier), Int64(norm.shift)))
      }
    }
  }

  /// `rope` over the heads of each row.
  static func rope(
    _ x: UnsafePointer<Int16>, n: Int, width: Int, headDim: Int, position: Int,
    table: UnsafePointer<Int16>, out: UnsafeMutablePointer<Int16>
  ) {
    let half = headDim / 2
    for t in 0..<n {
      let angles = table + (position + t) * headDim
      for base in stride(from: t * width, to: (t + 1) * width, by: headDim) {
        for i in 0..<half {
          let (c, s) = (Int64(angles[i]), Int64(angles[half + i]))
          let (a, b) = (Int64(x[base + i]), Int64(x[base + half + i]))
          out[base + i] = Natural.sat16(Natural.shift(a &* c &- b &* s, 14))
          out[base + half + i] = Natural.sat16(Natural.shift(a &* s &+ b &* c, 14))
        }
      }
    }
  }

  /// `kv_write` of `n` rows into a cache `[kvHeads, context, pitch]` of numbers up to ±`limit`.
  static func kvWrite(
    _ x: UnsafePointer<Int16>, n: Int, kvHeads: Int, headDim: Int, pitch: Int, context: Int,
    position: Int, offsets: [Int16], multipliers: [Int32], shift: Int, limit: Int64,
    cache: UnsafeMutablePointer<Int8>
  ) {
    for t in 0..<n {
      for h in 0..<kvHeads {
        let from = x + (t * kvHeads + h) * headDim
        let to = cache + (h * context + position + t) * pitch
        for i in 0..<headDim {
          let c = h * headDim + i
          let centred = Int64(from[i]) &- Int64(offsets[c])
          to[i] = Natural.symsat(
            Natural.shift(centred &* Int64(multipliers[c]), Int64(shift)), limit: limit)
        }
      }
    }
  }

  /// `lut`.
  static func lut(
    _ x: UnsafePointer<Int16>, count: Int, table: [UInt32], out: UnsafeMutablePointer<Int16>
  ) {
    table.withUnsafeBufferPointer { table in
      guard let table = table.baseAddress else { return }
      for i in 0..<count { out[i] = FixedTables.value(x[i], table) }
    }
  }

  /// `mul` before its saturation.
  @inline(__always)
  static func product(_ a: Int16, _ b: Int16, _ multiplier: Int64, _ shift: Int64) -> Int64 {
    Natural.shift(Int64(a) &* Int64(b) &* multiplier, shift)
  }
}
