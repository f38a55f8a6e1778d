import TensorCore

/// A scale with its rounding terms worked out, for use on many values.
///
/// Gives the same results as ``FixedScale/apply(_:rounding:doubleRoundShift:)``.
struct PreparedScale {
  private var multiplier: Int64
  private var shift: Int64
  private var positiveTerm: Int64
  private var negativeTerm: Int64
  /// 32-bit values times the multiplier stay within 64 bits, rounding included.
  private var isNarrow: Bool

  init(_ scale: FixedScale, rounding: RoundingMode, doubleRoundShift: Int) {
    multiplier = Int64(scale.multiplier)
    shift = Int64(scale.shift)
    isNarrow = scale.multiplier < 1 << 31 && scale.shift < 62
    func term(negative: Bool) -> Int64 {
      FixedScale.roundingTerm(
        negative: negative, shift: Int64(scale.shift), rounding: rounding,
        doubleRoundShift: doubleRoundShift)
    }
    positiveTerm = term(negative: false)
    negativeTerm = term(negative: true)
  }

  init(_ scale: OperandScale) {
    self.init(
      scale.scale, rounding: scale.rounding, doubleRoundShift: scale.doubleRoundShift)
  }

  /// The scaled value.
  @inline(__always)
  func callAsFunction(_ value: Int64) -> Int64 {
    if isNarrow && value == Int64(Int32(truncatingIfNeeded: value)) {
      let product = value &* multiplier
      return (product &+ (product < 0 ? negativeTerm : positiveTerm)) &>> shift
    }
    return wide(value)
  }

  @inline(never)
  private func wide(_ value: Int64) -> Int64 {
    let product = Int128(value) &* Int128(multiplier)
    let term = Int128(product < 0 ? negativeTerm : positiveTerm)
    return Int64(truncatingIfNeeded: (product &+ term) &>> Int128(shift))
  }
}
