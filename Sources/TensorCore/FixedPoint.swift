/// How a scaled product is brought back to an integer.
///
/// The names are those of the Ethos-U85 OFM_SCALE register, a superset of what U55 and U65 have: their
/// codes DBL, NATURAL and TRUNCATE are ``doubleSymmetric``, ``natural`` and ``truncateToZero``.
public enum RoundingMode: UInt8, Sendable, Hashable, CaseIterable {
  /// Half up, plus a second rounding at bit 31: TFLite's saturating doubling multiply followed by a
  /// rounding shift that sends halves away from zero.
  case doubleSymmetric = 0
  /// Half towards plus infinity.
  case natural = 1
  /// Half up, with a second rounding at bit 31 that ignores the sign.
  case doubleAsymmetric = 2
  /// Half away from zero.
  case symmetric = 3
  /// Discards the fraction of the magnitude.
  case truncateToZero = 4
  /// Floor.
  case truncateToLower = 5
}

/// A non-negative multiplier as the hardware holds it: `multiplier / 2^shift`.
public struct FixedScale: Sendable, Hashable {
  /// Unsigned factor. Most scales use 31 bits; reciprocals of average pooling use 32.
  public var multiplier: UInt32
  /// Right shift, 0...63.
  public var shift: UInt8

  /// The scale that changes nothing.
  public static let one = FixedScale(multiplier: 1, shift: 0)

  /// A scale from register values; only the low 6 bits of `shift` exist.
  public init(multiplier: UInt32, shift: Int) {
    self.multiplier = multiplier
    self.shift = UInt8(truncatingIfNeeded: shift & 63)
  }

  /// The nearest scale with a 31-bit multiplier (`0.5 <= m / 2^31 < 1`), or `nil` when `real` is
  /// negative, not finite, or too large to be written.
  ///
  /// Values below `2^-63` become zero; between there and `2^-32` bits of the multiplier are given up.
  public init?(real: Double) {
    self.init(real: real, reduced: false)
  }

  /// The scale with a 15-bit multiplier that 48-bit accumulators use (16-bit IFM with 64-bit bias).
  ///
  /// It is derived from the 31-bit form (rounded half up, clipped at 0x7FFF) as TFLite does, so it is
  /// not always the nearest 15-bit scale. `nil` as in ``init(real:)``.
  public static func reduced(real: Double) -> FixedScale? {
    FixedScale(real: real, reduced: true)
  }

  private init?(real: Double, reduced: Bool) {
    guard real.isFinite, real >= 0 else { return nil }
    guard real > 0 else {
      self.init(multiplier: 0, shift: 0)
      return
    }
    // real = significand * 2^exponent with significand in 1..<2; the mantissa wanted is half of it.
    var q = Int64((real.significand * 0x1p30).rounded(.toNearestOrAwayFromZero))
    var exponent = Int(real.exponent) + 1
    if q == 1 << 31 {
      q = 1 << 30
      exponent += 1
    }
    var shift = 31 - exponent
    if reduced {
      q = min((q >> 16) + ((q >> 15) & 1), 0x7FFF)
      shift -= 16
    }
    if shift > 63 {
      let excess = shift - 63
      guard excess < 31, q > 1 << Int64(excess) else {
        self.init(multiplier: 0, shift: 0)
        return
      }
      q >>= Int64(excess)
      shift = 63
    } else if shift < 0 {
      guard shift > -32, q << Int64(-shift) <= Int64(UInt32.max) else { return nil }
      q <<= Int64(-shift)
      shift = 0
    }
    self.init(multiplier: UInt32(truncatingIfNeeded: q), shift: shift)
  }

  /// The real number this scale stands for.
  public var real: Double {
    Double(multiplier) / Double(UInt64(1) << UInt64(shift & 63))
  }

  /// `value * multiplier / 2^shift`, exactly as the output and operand stages of Ethos-U compute it.
  ///
  /// The result is `floor((p + r) / 2^s)` with the exact product `p` and the rounding term `r` of the
  /// mode; nothing wraps on the way. Results beyond 64 bits (unreachable from 48-bit accumulators)
  /// are truncated to their low 64 bits.
  ///
  /// - Parameters:
  ///   - value: accumulator or operand.
  ///   - rounding: the rounding mode.
  ///   - doubleRoundShift: the `dbl_rnd` field, 0...31: moves the second rounding of the double modes
  ///     from bit 31 down to bit `31 - doubleRoundShift`.
  @inlinable
  public func apply(
    _ value: Int64, rounding: RoundingMode, doubleRoundShift: Int = 0
  ) -> Int64 {
    let s = Int64(shift & 63)
    // |value| < 2^31 and multiplier < 2^31 keep the product and every rounding term within 64 bits.
    if value == Int64(Int32(truncatingIfNeeded: value)), multiplier < 1 << 31, s < 62 {
      let product = value &* Int64(multiplier)
      let term = Self.roundingTerm(
        negative: product < 0, shift: s, rounding: rounding, doubleRoundShift: doubleRoundShift)
      return (product &+ term) &>> s
    }
    let product = Int128(value) &* Int128(multiplier)
    let term = Self.roundingTerm(
      negative: product < 0, shift: s, rounding: rounding, doubleRoundShift: doubleRoundShift)
    return Int64(truncatingIfNeeded: (product &+ Int128(term)) &>> Int128(s))
  }

  /// What is added to a product of the given sign before the arithmetic right shift by `shift`.
  @inlinable
  public static func roundingTerm(
    negative: Bool, shift s: Int64, rounding: RoundingMode, doubleRoundShift d: Int
  ) -> Int64 {
    guard s > 0 else { return 0 }
    let half = Int64(1) &<< (s &- 1)
    switch rounding {
    case .natural: return half
    case .doubleSymmetric, .doubleAsymmetric:
      guard Int(s) > 31 &- d, d <= 30 else { return half }
      let second = Int64(1) &<< Int64(30 &- d)
      return negative && rounding == .doubleSymmetric ? half &- second : half &+ second
    case .symmetric: return negative ? half &- 1 : half
    case .truncateToZero: return negative ? (Int64(1) &<< s) &- 1 : 0
    case .truncateToLower: return 0
    }
  }
}
