import TensorCore

/// Functions of fixed-point numbers in 32 bits with rounding at every product.
///
/// TFLite's int8 softmax, sigmoid and hyperbolic tangent are defined by them. `Qn` is a number with `n`
/// integer bits: its real value is `raw / 2^(31 - n)`. Source: gemmlowp, `fixedpoint.h`, whose method
/// (a polynomial for a quarter, factors for the bits above it, Newton's division) fixes every bit.
enum FixedPointFunctions {
  private static let one0 = Int32.max
  private static let one2: Int32 = 1 << 29

  /// `a * b * 2^-31`, halves away from zero, saturated.
  @inline(__always)
  static func multiply(_ a: Int32, _ b: Int32) -> Int32 {
    if a == .min, b == .min { return .max }
    return Int32(truncatingIfNeeded: (Int64(a) &* Int64(b) &+ (1 << 30)) >> 31)
  }

  /// `a / 2^exponent`, halves away from zero.
  @inline(__always)
  static func divide(_ a: Int32, powerOfTwo exponent: Int) -> Int32 {
    guard exponent > 0 else { return a }
    let half = Int64(1) << Int64(exponent - 1)
    let wide = Int64(a)
    return Int32(truncatingIfNeeded: (wide &+ half &- (wide < 0 ? 1 : 0)) >> Int64(exponent))
  }

  /// `a * 2^exponent`, saturated.
  @inline(__always)
  private static func shiftUp(_ a: Int32, _ exponent: Int) -> Int32 {
    Int32(clamping: Int64(a) << Int64(exponent))
  }

  /// `exp(a)` as Q0 of `a <= 0` with `bits` integer bits, at most 5.
  static func exp(_ a: Int32, integerBits bits: Int) -> Int32 {
    if a == 0 { return one0 }
    let fraction = 31 - bits
    let quarter = Int32(1) << Int32(fraction - 2)
    let rest = (a & (quarter - 1)) - quarter
    var result = expOfLastQuarter(shiftUp(rest, bits))
    let remainder = rest &- a
    // exp(-2^e) for e from -2, as Q0.
    let factors: [Int32] = [
      1_672_461_947, 1_302_514_674, 790_015_084, 290_630_308, 39_332_535, 720_401, 242,
    ]
    for (index, factor) in factors.enumerated() where bits > index - 2 {
      if remainder & (1 << Int32(fraction + index - 2)) != 0 { result = multiply(result, factor) }
    }
    return result
  }

  /// `exp(a)` for `a` from -1/4 to 0 as Q0: a polynomial around -1/8.
  private static func expOfLastQuarter(_ a: Int32) -> Int32 {
    let atCentre: Int32 = 1_895_147_668
    let third: Int32 = 715_827_883
    let x = a &+ (1 << 28)
    let x2 = multiply(x, x)
    let x3 = multiply(x2, x)
    let x4 = multiply(x2, x2)
    let high = multiply(divide(x4, powerOfTwo: 2) &+ x3, third) &+ x2
    return atCentre &+ multiply(atCentre, x &+ divide(high, powerOfTwo: 1))
  }

  /// `2 / (1 + a)` as Q2 of `a` from 0 to 1 as Q0: three steps of Newton.
  private static func twiceReciprocal(_ a: Int32) -> Int32 {
    let denominator = Int32(truncatingIfNeeded: (Int64(a) + Int64(one0) + 1) >> 1)
    var x = 1_515_870_810 &+ multiply(denominator, -1_010_580_540)
    for _ in 0..<3 {
      x = x &+ shiftUp(multiply(x, one2 &- multiply(denominator, x)), 2)
    }
    return x
  }

  /// `1 / (1 + a)` as Q0 of `a` from 0 to 1 as Q0.
  static func reciprocalOfOnePlus(_ a: Int32) -> Int32 { shiftUp(twiceReciprocal(a), 1) }

  /// The logistic function as Q0 of a number with four integer bits.
  static func logistic(_ a: Int32) -> Int32 {
    if a == 0 { return 1 << 30 }
    let positive = reciprocalOfOnePlus(exp(a > 0 ? 0 &- a : a, integerBits: 4))
    return a > 0 ? positive : one0 &- positive
  }

  /// The hyperbolic tangent as Q0 of a number with four integer bits.
  static func tanh(_ a: Int32) -> Int32 {
    if a == 0 { return 0 }
    // The same bits with one integer bit more stand for twice the number.
    let power = exp(a > 0 ? 0 &- a : a, integerBits: 5)
    let magnitude = shiftUp(twiceReciprocal(power) &- one2, 2)
    return a < 0 ? 0 &- magnitude : magnitude
  }

  /// `2^20 / sqrt(a)` of a whole number `a >= 1`, rounded twice: five steps of Newton on `a` brought to
  /// three integer bits, then the power of two (TFLite, `GetInvSqrtQuantizedMultiplierExp`).
  static func inverseRoot(of a: Int32) -> Int {
    guard a > 1 else { return 1 << 20 }
    var mantissa = a
    var exponent = 11
    while mantissa >= 1 << 29 {
      mantissa /= 4
      exponent += 1
    }
    let pairs = (mantissa.leadingZeroBitCount - 1) / 2 - 1
    exponent -= pairs
    let number = (mantissa << Int32(2 * pairs)) >> 1
    let half = divide(number, powerOfTwo: 1)
    let threeHalves: Int32 = (1 << 28) + (1 << 27)
    var x: Int32 = 1 << 28
    for _ in 0..<5 {
      let cube = shiftUp(multiply(multiply(x, x), x), 6)
      x = shiftUp(multiply(threeHalves, x) &- multiply(half, cube), 3)
    }
    x = multiply(x, 1_518_500_250)
    if exponent < 0 {
      x <<= Int32(-exponent)
      exponent = 0
    }
    // x / 2^31 * 2^-exponent * 2^20, with TFLite's two roundings.
    let scale = FixedScale(
      multiplier: UInt32(truncatingIfNeeded: max(x, 0)), shift: 31 + exponent - 20)
    return Int(scale.apply(1, rounding: .doubleSymmetric))
  }

  /// Largest input of a function with `bits` integer bits after scaling by `2^leftShift`; larger ones
  /// saturate.
  static func inputRadius(bits: Int, leftShift: Int) -> Int {
    let most = Double((1 << bits) - 1) * Double(sign: .plus, exponent: 31 - bits, significand: 1)
    let radius = (most / Double(sign: .plus, exponent: leftShift, significand: 1)).rounded(.down)
    return Int(min(radius, 0x1p31))
  }
}
