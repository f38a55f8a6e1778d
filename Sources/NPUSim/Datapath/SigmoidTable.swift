import Foundation

/// The 16-bit tanh and sigmoid that U55 and U65 have built in.
///
/// Both interpolate one table of `sigmoid(i / 24)` in 0.16 fixed point; inputs are in units of
/// 1 / 12288. They equal TFLite's 16-bit kernels on all inputs.
enum SigmoidTable {
  /// Entries 0...256.
  static let values: [Int32] = (0...256).map { i in
    Int32(min(65535, (65536 / (1 + exp(-Double(i) / 24))).rounded()))
  }

  /// Sigmoid as 1.15 fixed point; `v` is the scaled value before clamping.
  @inline(__always)
  static func sigmoid(_ v: Int64, _ table: UnsafeBufferPointer<Int32>) -> Int64 {
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
  static func tanh(_ v: Int64, _ table: UnsafeBufferPointer<Int32>) -> Int64 {
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
}
