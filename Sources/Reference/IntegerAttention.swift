import TensorCore

/// `attention` of `Docs/Numerics.md`.
struct IntegerAttention: Sendable {
  /// Query heads.
  var heads: Int
  /// Cache heads.
  var kvHeads: Int
  /// Channels of a head.
  var headDim: Int
  /// Bytes between rows of a cache.
  var pitch: Int
  /// Positions of the caches.
  var context: Int
  /// From sums of products to 2^-8 powers of two.
  var scoreShift: Int
  /// From normalised sums to the result.
  var multiplier: Int
  var shift: Int

  /// Computes `n` rows; `store` takes the flat index and the result before saturation.
  func run(
    _ q: UnsafePointer<Int16>, n: Int, position: Int, k: UnsafePointer<Int8>,
    v: UnsafePointer<Int8>, store: (Int, Int64) -> Void
  ) {
    let length = position + n
    let group = heads / kvHeads
    Parallel.ranges(n * heads, grain: max(1, 131_072 / max(length * headDim, 1))) { units in
      withUnsafeTemporaryAllocation(of: Int16.self, capacity: length) { scores in
        withUnsafeTemporaryAllocation(of: Int64.self, capacity: headDim) { sums in
          guard let scores = scores.baseAddress, let sums = sums.baseAddress else { return }
          for unit in units {
            let (t, h) = (unit / heads, unit % heads)
            head(
              q + unit * headDim, g: h / group, count: position + t + 1, k: k, v: v,
              scores: scores, sums: sums, store: { store(unit * headDim + $0, $1) })
          }
        }
      }
    }
  }

  /// One head of one row over `count` positions.
  @inline(__always)
  private func head(
    _ q: UnsafePointer<Int16>, g: Int, count: Int, k: UnsafePointer<Int8>,
    v: UnsafePointer<Int8>, scores: UnsafeMutablePointer<Int16>,
    sums: UnsafeMutablePointer<Int64>, store: (Int, Int64) -> Void
  ) {
    let keys = k + g * context * pitch
    let rows = v + g * context * pitch
    let s = Int64(scoreShift)
    let lowest = Int64(FixedTables.lowestScore)
    var top = Int16.min
    for j in 0..<count {
      let row = keys + j * pitch
      // At most 256 products below 2^22.
      var sum: Int32 = 0
      for i in 0..<headDim { sum &+= Int32(q[i]) &* Int32(row[i]) }
      scores[j] = Int16(
        truncatingIfNeeded: min(max(Natural.shift(Int64(sum), s), lowest), 32767))
      top = max(top, scores[j])
    }
    let largest = Int64(FixedTables.largestPower)
    var total: Int32 = 0
    FixedTables.shared.withUnsafeBufferPointer { table in
      guard let table = table.baseAddress else { return }
      for j in 0..<count {
        let code = min((Int64(scores[j]) &- Int64(top)) &* 8, largest)
        scores[j] = FixedTables.value(Natural.sat16(code), table)
        total &+= Int32(scores[j])
      }
    }
    // The top score alone weighs almost 2^15, so the shift is not negative.
    let down = Int64(18 &- total.leadingZeroBitCount)
    let code = Int16(
      truncatingIfNeeded: min(
        Natural.shift(Int64(total), down), Int64(FixedTables.largestReciprocal)))
    let reciprocal = FixedTables.shared.withUnsafeBufferPointer { table in
      table.baseAddress.map { Int64(FixedTables.value(code, $0)) } ?? 0
    }
    for c in 0..<headDim { sums[c] = 0 }
    // Sums of 256 products below 2^22 fit 32 bits.
    withUnsafeTemporaryAllocation(of: Int32.self, capacity: headDim) { part in
      guard let part = part.baseAddress else { return }
      for first in stride(from: 0, to: count, by: 256) {
        for c in 0..<headDim { part[c] = 0 }
        for j in first..<min(first + 256, count) where scores[j] != 0 {
          let row = rows + j * pitch
          let weight = Int32(scores[j])
          for c in 0..<headDim { part[c] &+= weight &* Int32(row[c]) }
        }
        for c in 0..<headDim { sums[c] &+= Int64(part[c]) }
      }
    }
    let (outM, outS) = (Int64(multiplier), Int64(shift))
    for c in 0..<headDim {
      let mean = Natural.sat16(Natural.shift(Natural.shift(sums[c], 7), down))
      store(c, Natural.shift(Int64(mean) &* reciprocal &* outM, outS))
    }
  }
}
