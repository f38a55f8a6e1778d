import TensorCore

/// `attention` of `Docs/Numerics.md`.
struct IntegerAttention: Sendable {
  /// Query heads.
  var heads: Int
  /// Cache heads.
  var kvHeads: Int
  /// Channels of a head.
  var headDim: Int
  /// Positions of the caches.
  var context: Int
  /// One factor per cache head, from score steps to 2^-12 powers of two.
  var expMultiplier, expShift: [Int32]
  /// One factor per cache head, from 23 fraction bits of a value to the result.
  var outMultiplier, outShift: [Int32]

  /// Computes `n` rows; `store` takes the flat index and the result before saturation.
  func run(
    _ q: UnsafePointer<Int16>, n: Int, position: Int, k: UnsafePointer<Int8>,
    v: UnsafePointer<Int8>, store: (Int, Int64) -> Void
  ) {
    let length = position + n
    let group = heads / kvHeads
    let table = ExpTable.entries
    Parallel.ranges(n * heads, grain: max(1, 131_072 / max(length * headDim, 1))) { units in
      table.withUnsafeBufferPointer { table in
        withUnsafeTemporaryAllocation(of: Int32.self, capacity: length + headDim) { scratch in
          withUnsafeTemporaryAllocation(of: Int64.self, capacity: headDim) { sums in
            guard let e = scratch.baseAddress, let z = sums.baseAddress,
              let table = table.baseAddress
            else { return }
            for unit in units {
              let (t, h) = (unit / heads, unit % heads)
              head(
                q + unit * headDim, g: h / group, count: position + t + 1, k: k, v: v,
                table: table, e: e, partial: e + length, z: z,
                store: { store(unit * headDim + $0, $1) })
            }
          }
        }
      }
    }
  }

  /// One head of one row over `count` positions.
  @inline(__always)
  private func head(
    _ q: UnsafePointer<Int16>, g: Int, count: Int, k: UnsafePointer<Int8>,
    v: UnsafePointer<Int8>, table: UnsafePointer<Int32>, e: UnsafeMutablePointer<Int32>,
    partial: UnsafeMutablePointer<Int32>, z: UnsafeMutablePointer<Int64>,
    store: (Int, Int64) -> Void
  ) {
    let keys = k + g * context * headDim
    let rows = v + g * context * headDim
    var top = Int32.min
    for j in 0..<count {
      let row = keys + j * headDim
      var sum: Int32 = 0
      for i in 0..<headDim { sum &+= Int32(q[i]) &* Int32(row[i]) }
      e[j] = sum
      top = max(top, sum)
    }
    let multiplier = UInt64(expMultiplier[g])
    let shift = UInt64(expShift[g])
    let half = (UInt64(1) << shift) >> 1
    var sum: Int64 = 0
    for j in 0..<count {
      let distance = UInt64(Int64(top) &- Int64(e[j]))
      let u = min((distance &* multiplier &+ half) >> shift, 65536)
      let weight = ExpTable.weight(Int(u), table)
      e[j] = weight
      sum &+= Int64(weight)
    }
    let reciprocal = (Int64(1) << 45) / sum
    for c in 0..<headDim { z[c] = 0 }
    var first = 0
    while first < count {
      // 2^15 · 127 · 256 stays below 2^31.
      let last = min(first + 256, count)
      for c in 0..<headDim { partial[c] = 0 }
      for j in first..<last where e[j] != 0 {
        let weight = e[j]
        let row = rows + j * headDim
        for c in 0..<headDim { partial[c] &+= weight &* Int32(row[c]) }
      }
      for c in 0..<headDim { z[c] &+= Int64(partial[c]) }
      first = last
    }
    let (m, s) = (Int64(outMultiplier[g]), Int64(outShift[g]))
    for c in 0..<headDim {
      store(c, Natural.shift(Natural.shift(z[c] &* reciprocal, 22) &* m, s))
    }
  }
}
