/// A positive (or, from ``common(_:)``, signed) real factor as the integer contract writes it:
/// `multiplier / 2^shift` (`Docs/Numerics.md`, "Notation").
public struct FixedMultiplier: Hashable, Sendable {
  /// The factor's digits, below 2^31 in magnitude.
  public var multiplier: Int32
  /// The right shift, 0 ... 62.
  public var shift: Int32

  /// A factor from its parts.
  public init(multiplier: Int32, shift: Int32) {
    self.multiplier = multiplier
    self.shift = shift
  }

  /// `fixed31(real)`; nil when `real` is not a positive number or its shift is outside 0 ... 62.
  public init?(fixed31 real: Double) {
    guard real.isFinite, real > 0, let (m, s) = Self.normalised(real), (0...62).contains(s)
    else { return nil }
    self.init(multiplier: Int32(m), shift: Int32(s))
  }

  /// `fixed15(real)`: the 15-bit form that the NPU uses with 40-bit accumulators; nil as above.
  public init?(fixed15 real: Double) {
    guard real.isFinite, real > 0, let (m, s) = Self.normalised(real), (0...62).contains(s - 16)
    else { return nil }
    self.init(multiplier: Int32(min((m >> 16) + ((m >> 15) & 1), 32767)), shift: Int32(s - 16))
  }

  /// `fixed31common(reals)`: one shift for all, signs kept. Zeros alone give multipliers and shift 0;
  /// nil when a value is not finite or the shift is outside 0 ... 62.
  public static func common(_ reals: [Double]) -> (multipliers: [Int32], shift: Int)? {
    var largest = 0.0
    for real in reals {
      guard real.isFinite else { return nil }
      largest = max(largest, abs(real))
    }
    guard largest > 0 else { return (reals.map { _ in 0 }, 0) }
    guard let (_, s) = normalised(largest), (0...62).contains(s) else { return nil }
    let factor = Double(sign: .plus, exponent: s, significand: 1)
    let limit = Double(Int32.max)
    return (
      reals.map {
        Int32(min(max(($0 * factor).rounded(.toNearestOrAwayFromZero), -limit), limit))
      }, s
    )
  }

  /// The real number this stands for.
  public var real: Double {
    Double(multiplier) / Double(sign: .plus, exponent: Int(shift), significand: 1)
  }

  /// Digits in 2^30 ..< 2^31 and the shift that goes with them.
  private static func normalised(_ real: Double) -> (Int64, Int)? {
    guard real.isNormal else { return nil }
    var m = Int64((real.significand * 0x1p30).rounded(.toNearestOrAwayFromZero))
    var s = 30 - Int(real.exponent)
    if m == 1 << 31 {
      m = 1 << 30
      s -= 1
    }
    return (m, s)
  }
}

/// The roundings and saturations of the integer contract (`Docs/Numerics.md`, "Notation").
public enum Natural {
  /// `rshift(v, s)`: shifts right, halves rounded up. `s` in 0 ... 62; the sum must not overflow.
  @inlinable @inline(__always)
  public static func shift(_ v: Int64, _ s: Int64) -> Int64 {
    (v &+ ((1 &<< s) &>> 1)) &>> s
  }

  /// Clamps to −128 … 127.
  @inlinable @inline(__always)
  public static func sat8(_ v: Int64) -> Int8 { Int8(truncatingIfNeeded: min(max(v, -128), 127)) }

  /// Clamps to −`limit` … `limit`, at most 127.
  @inlinable @inline(__always)
  public static func symsat(_ v: Int64, limit: Int64) -> Int8 {
    Int8(truncatingIfNeeded: min(max(v, -limit), limit))
  }

  /// Clamps to −32768 … 32767.
  @inlinable @inline(__always)
  public static func sat16(_ v: Int64) -> Int16 {
    Int16(truncatingIfNeeded: min(max(v, -32768), 32767))
  }
}
