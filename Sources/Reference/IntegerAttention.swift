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
  /// From sums to 2^-12 powers of two.
  var scoreMultiplier: Int
  var scoreShift: Int
  /// From 2^-8 steps of the values' scale to the result.
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
      withUnsafeTemporaryAllocation(of: Int32.self, capacity: length + headDim) { scratch in
        guard let scores = scratch.baseAddress else { return }
        for unit in units {
          let (t, h) = (unit / heads, unit % heads)
          head(
            q + unit * headDim, g: h / group, count: position + t + 1, k: k, v: v,
            scores: scores, sums: scores + length, store: { store(unit * headDim + $0, $1) })
        }
      }
    }
  }

  /// One head of one row over `count` positions.
  @inline(__always)
  private func head(
    _ q: UnsafePointer<Int16>, g: Int, count: Int, k: UnsafePointer<Int8>,
    v: UnsafePointer<Int8>, scores: UnsafeMutablePointer<Int32>,
    sums: UnsafeMutablePointer<Int32>, store: (Int, Int64) -> Void
  ) {
    let keys = k + g * context * pitch
    let rows = v + g * context * pitch
    let m = Int64(scoreMultiplier)
    let s = Int64(scoreShift)
    // Positions out of reach count as −2^30.
    var top = Int16.min
    for j in 0..<count {
      let row = keys + j * pitch
      var sum: Int32 = 0
      for i in 0..<headDim { sum &+= (Int32(q[i]) &* Int32(row[i]) &+ 64) >> 7 }
      scores[j] = Int32(truncatingIfNeeded: Natural.shift(Int64(sum) &* m, s))
      top = max(top, Natural.sat16(Natural.shift(Int64(scores[j]), 4)))
    }
    let offset = 32759 - 16 * Int64(top)
    var total: Int32 = 0
    FixedTables.powers.withUnsafeBufferPointer { table in
      guard let table = table.baseAddress else { return }
      for j in 0..<count {
        let e = FixedTables.value(Natural.sat16(Int64(scores[j]) &+ offset), table)
        scores[j] = Int32(e)
        total &+= Int32(e)
      }
    }
    // Scores far out of range weigh nothing, all of them together.
    guard total != 0 else {
      for c in 0..<headDim { store(c, 0) }
      return
    }
    let zeros = Int64(UInt32(bitPattern: total).leadingZeroBitCount)
    let normal = Int32(truncatingIfNeeded: Int64(total) << (zeros &- 1))
    let code = Natural.sat16(Natural.shift(Int64(normal), 16))
    let reciprocal = FixedTables.reciprocals.withUnsafeBufferPointer { table in
      table.baseAddress.map { Int64(FixedTables.value(code, $0)) } ?? 0
    }
    for c in 0..<headDim { sums[c] = 0 }
    for j in 0..<count {
      let p = Int64(
        Natural.sat16(Natural.shift(Int64(scores[j]) &* reciprocal, 31 &- zeros)))
      guard p != 0 else { continue }
      let row = rows + j * pitch
      let weight = Int32(truncatingIfNeeded: p)
      for c in 0..<headDim { sums[c] &+= (weight &* Int32(row[c]) &+ 64) >> 7 }
    }
    let (outM, outS) = (Int64(multiplier), Int64(shift))
    for c in 0..<headDim {
      store(c, Natural.shift(Int64(Natural.sat16(Int64(sums[c]))) &* outM, outS))
    }
  }
}
