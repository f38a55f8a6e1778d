import TensorCore

/// `linear` of `Docs/Numerics.md`: exact sums, then one multiplier and shift per output channel.
struct IntegerLinear: Sendable {
  /// Output channels.
  var rows: Int
  /// Input channels.
  var columns: Int
  /// Per output channel, `fixed15` for 16-bit inputs and `fixed31` for 8-bit ones.
  var multipliers: [FixedMultiplier]
  /// Per output channel, or none.
  var bias: [Int32]?

  /// Sums of this many products of 16 by 8 bits fit 32 bits: 512 · 2^15 · 127 < 2^31.
  private static let block = 512

  /// Computes `x [n, columns]` times the transposed weights; `store` takes row, channel and the
  /// result before it is narrowed. It is called from several threads, for distinct channels.
  func run(
    _ x: UnsafePointer<Int16>, n: Int, weights: UnsafePointer<Int8>,
    store: (Int, Int, Int64) -> Void
  ) {
    let k = columns
    let grain = max(4, (131_072 / max(k, 1)) & ~3)
    Parallel.ranges(rows, grain: n == 1 ? grain : max(4, min(64, (32768 / max(k, 1)) & ~3))) {
      range in
      withUnsafeTemporaryAllocation(of: Int16.self, capacity: 4 * k) { wide in
        guard let wide = wide.baseAddress else { return }
        var o = range.lowerBound
        while o < range.upperBound {
          let group = min(4, range.upperBound - o)
          for r in 0..<group {
            let from = weights + (o + r) * k
            let to = wide + r * k
            for i in 0..<k { to[i] = Int16(from[i]) }
          }
          // Rows past the end of the range repeat the first one; their sums are dropped.
          let (w0, w1) = (wide, wide + (group > 1 ? k : 0))
          let (w2, w3) = (wide + (group > 2 ? 2 * k : 0), wide + (group > 3 ? 3 * k : 0))
          for t in 0..<n {
            let row = x + t * k
            var sums = SIMD4<Int64>.zero
            var first = 0
            while first < k {
              let count = min(Self.block, k - first)
              sums &+= SIMD4<Int64>(
                truncatingIfNeeded: Self.dot(
                  row + first, w0 + first, w1 + first, w2 + first, w3 + first, count))
              first += count
            }
            for r in 0..<group {
              let channel = o + r
              let sum = sums[r] &+ Int64(bias?[channel] ?? 0)
              let factor = multipliers[channel]
              store(
                t, channel,
                Natural.shift(sum &* Int64(factor.multiplier), Int64(factor.shift)))
            }
          }
          o += group
        }
      }
    }
  }

  /// Four inner products that share one side.
  @inline(__always)
  private static func dot(
    _ x: UnsafePointer<Int16>, _ w0: UnsafePointer<Int16>, _ w1: UnsafePointer<Int16>,
    _ w2: UnsafePointer<Int16>, _ w3: UnsafePointer<Int16>, _ count: Int
  ) -> SIMD4<Int32> {
    var (s0, s1, s2, s3) = (Int32(0), Int32(0), Int32(0), Int32(0))
    for i in 0..<count {
      let v = Int32(x[i])
      s0 &+= v &* Int32(w0[i])
      s1 &+= v &* Int32(w1[i])
      s2 &+= v &* Int32(w2[i])
      s3 &+= v &* Int32(w3[i])
    }
    return SIMD4(s0, s1, s2, s3)
  }
}
