import Foundation

/// The 16-bit tanh and sigmoid that U55 and U65 have built in.
///
/// Both interpolate one table of `sigmoid(i / 24)` in 0.16 fixed point; inputs are in units of
/// 1 / 12288. They equal TFLite's 16-bit kernels on all inputs.
package enum SigmoidTable {
  /// Entries 0...255: `65536 * sigmoid(i / 24)` rounded, but one more where ``raised`` says so.
  package static let values: [Int32] = (0...255).map { i in
    Int32(min(65535, (65536 / (1 + exp(-Double(i) / 24))).rounded())) + (raised.contains(i) ? 1 : 0)
  }

  /// Where TFLite's table, which the hardware shares, is not the rounded value but the next: it was made
  /// to serve the interpolation.
  private static let raised: Set<Int> = [
    4, 8, 12, 14, 15, 16, 17, 19, 20, 21, 22, 25, 27, 28, 29, 30, 31, 33, 34, 35, 37, 39, 40, 41,
    43, 44, 45, 46, 49, 50, 54, 62, 63, 64, 66, 82, 86, 93, 100, 103, 112, 116, 135, 255,
  ]

  /// Sigmoid as 1.15 fixed point; `v` is the scaled value before clamping.
  @inline(__always)
  package static func sigmoid(_ v: Int64, _ table: UnsafeBufferPointer<Int32>) -> Int64 {
    let a = v < 0 ? 0 &- v : v
    let r: Int64
    if a >> 9 >= 255 {
      r = 0x7FFF << 10
    } else {
      let u = Int(a >> 9)
      r = Int64(table[u]) << 9 &+ (a & 511) &* Int64(table[u &+ 1] &- table[u])
    }
    return v >= 0 ? (r &+ 512) >> 10 : ((1 << 25) &- r &+ 511) >> 10
  }

  /// Hyperbolic tangent as 1.15 fixed point; `v` is the scaled value before clamping.
  @inline(__always)
  package static func tanh(_ v: Int64, _ table: UnsafeBufferPointer<Int32>) -> Int64 {
    let a = v < 0 ? 0 &- v : v
    let r: Int64
    if a >> 8 >= 255 {
      r = 0xFFFF << 8
    } else {
      let u = Int(a >> 8)
      r = Int64(table[u]) << 8 &+ (a & 255) &* Int64(table[u &+ 1] &- table[u])
    }
    return v >= 0
      ? (r &- (1 << 23) &+ 128) >> 8 : (0 &- r &+ (1 << 23) &+ 127) >> 8
  }

  /// Sigmoid by a loaded table of 512 (base, slope) words (U85), whose bases are twice the result.
  @inline(__always)
  static func sigmoid(_ v: Int64, loaded table: UnsafeBufferPointer<Int32>) -> Int64 {
    let r = interpolate(v, 9, table) &+ (1 << 24)
    let rounded = (r &+ (v >= 0 ? 512 : 511)) >> 10
    return max(1, min(0x7FFF, rounded))
  }

  /// Hyperbolic tangent by a loaded table of 512 (base, slope) words (U85).
  @inline(__always)
  static func tanh(_ v: Int64, loaded table: UnsafeBufferPointer<Int32>) -> Int64 {
    (interpolate(v, 8, table) &+ (v >= 0 ? 128 : 127)) >> 8
  }

  /// `base << bits + slope * fraction` of the entry that the bits above `bits` choose; entries start at
  /// -256, and values beyond the table take its ends.
  @inline(__always)
  private static func interpolate(
    _ v: Int64, _ bits: Int64, _ table: UnsafeBufferPointer<Int32>
  ) -> Int64 {
    let position = v >> bits
    let index = max(-256, min(255, position))
    let fraction = index == position ? v & ((1 << bits) &- 1) : 0
    let entry = table[Int(index &+ 256)]
    return Int64(Int16(truncatingIfNeeded: entry)) << bits &+ Int64(entry >> 16) &* fraction
  }
}
