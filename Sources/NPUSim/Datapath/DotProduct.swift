/// Dot products as wide as the accumulators, in the form that compilers turn into `pmaddwd`.
enum DotProduct {
  /// Products of 8-bit inputs (zero point removed, so 9 bits) and 9-bit weights that a 32-bit sum holds.
  static let block8 = 32768
  /// The same for 16-bit inputs: 256 * 2^15 * 255 < 2^31.
  static let block16 = 256

  /// `sum(x[i] * w[i])` for `i` in `0..<n`.
  ///
  /// - Parameter block: elements whose partial sums cannot leave 32 bits, whatever the order of addition.
  @inline(__always)
  static func narrow<W: FixedWidthInteger & SignedInteger>(
    _ x: UnsafePointer<Int16>, _ w: UnsafePointer<W>, _ n: Int, block: Int
  ) -> Int64 {
    var total: Int64 = 0
    var i = 0
    while i < n {
      let end = min(n, i &+ block)
      var sum: Int32 = 0
      while i < end {
        sum &+= Int32(x[i]) &* Int32(truncatingIfNeeded: w[i])
        i &+= 1
      }
      total &+= Int64(sum)
    }
    return total
  }

  /// The same for operands of any width: correct, not fast.
  @inline(__always)
  static func wide<W: FixedWidthInteger & SignedInteger>(
    _ x: UnsafePointer<Int64>, _ w: UnsafePointer<W>, _ n: Int
  ) -> Int64 {
    var total: Int64 = 0
    for i in 0..<n { total &+= x[i] &* Int64(truncatingIfNeeded: w[i]) }
    return total
  }
}
