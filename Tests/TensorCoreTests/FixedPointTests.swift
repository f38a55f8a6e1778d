import Testing

@testable import TensorCore

/// TFLite's two-step requantisation, written from its definition: a saturating rounding doubling high
/// multiply, then a rounding right shift with halves away from zero.
private func tfliteRequantise(_ x: Int32, multiplier: Int32, shift: Int) -> Int64 {
  let product = Int64(x) * Int64(multiplier)
  let nudge: Int64 = product >= 0 ? 1 << 30 : 1 - (1 << 30)
  let high = (product + nudge) / (1 << 31)
  let right = shift - 31
  let mask = (Int64(1) << Int64(right)) - 1
  let remainder = high & mask
  let threshold = (mask >> 1) + (high < 0 ? 1 : 0)
  return (high >> Int64(right)) + (remainder > threshold ? 1 : 0)
}

/// SplitMix64, so that failures repeat.
private struct SeededGenerator: RandomNumberGenerator {
  var state: UInt64
  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}

@Test func doubleRoundingEqualsTFLiteRequantisation() {
  var generator = SeededGenerator(state: 1)
  for _ in 0..<20_000 {
    let x =
      Int32.random(in: Int32.min + 1...Int32.max, using: &generator) >> Int32.random(in: 0...24)
    let m = Int32.random(in: (1 << 30)...Int32.max, using: &generator)
    let shift = Int.random(in: 31...50, using: &generator)
    let scale = FixedScale(multiplier: UInt32(m), shift: shift)
    #expect(
      scale.apply(Int64(x), rounding: .doubleSymmetric)
        == tfliteRequantise(x, multiplier: m, shift: shift))
  }
}

@Test(arguments: [
  (RoundingMode.natural, [-2, -1, -1, 0, 0, 1, 1, 2, 2]),
  (.symmetric, [-2, -2, -1, -1, 0, 1, 1, 2, 2]),
  (.truncateToZero, [-2, -1, -1, 0, 0, 0, 1, 1, 2]),
  (.truncateToLower, [-2, -2, -1, -1, 0, 0, 1, 1, 2]),
  (.doubleSymmetric, [-2, -1, -1, 0, 0, 1, 1, 2, 2]),
])
func roundingOfHalves(mode: RoundingMode, expected: [Int64]) {
  let half = FixedScale(multiplier: 1, shift: 1)
  #expect((-4...4).map { half.apply(Int64($0), rounding: mode) } == expected)
}

/// The second rounding moves with the double-rounding shift, and only symmetric modes follow the sign.
@Test func doubleRoundShiftMovesTheSecondRounding() {
  let scale = FixedScale(multiplier: 1, shift: 12)
  // s = 12 > 31 - 20: a term of 2^10 joins the half of 2^11.
  #expect(scale.apply(1024, rounding: .doubleSymmetric, doubleRoundShift: 20) == 1)
  #expect(scale.apply(1023, rounding: .doubleSymmetric, doubleRoundShift: 20) == 0)
  #expect(scale.apply(-1025, rounding: .doubleSymmetric, doubleRoundShift: 20) == -1)
  #expect(scale.apply(-1024, rounding: .doubleSymmetric, doubleRoundShift: 20) == 0)
  #expect(scale.apply(-1025, rounding: .doubleAsymmetric, doubleRoundShift: 20) == 0)
  #expect(scale.apply(-3073, rounding: .doubleAsymmetric, doubleRoundShift: 20) == -1)
}

/// The 64-bit path and the 128-bit path agree where both apply, and wide values do not wrap.
@Test func wideValuesDoNotWrap() {
  let scale = FixedScale(multiplier: 0x8000_0001, shift: 31)
  #expect(scale.apply(1 << 40, rounding: .natural) == (1 << 40) + (1 << 9))
  #expect(scale.apply(-(1 << 40), rounding: .natural) == -(1 << 40) - (1 << 9))
  #expect(FixedScale(multiplier: .max, shift: 63).apply(1 << 46, rounding: .natural) == 1 << 15)
}

@Test func scalesFromReals() throws {
  #expect(FixedScale(real: 1) == FixedScale(multiplier: 1 << 30, shift: 30))
  #expect(FixedScale(real: 0.5) == FixedScale(multiplier: 1 << 30, shift: 31))
  #expect(FixedScale(real: 0) == FixedScale(multiplier: 0, shift: 0))
  // Rounds up to 2^31, which must be renormalised.
  #expect(
    FixedScale(real: 1.0.nextDown) == FixedScale(multiplier: 1 << 30, shift: 30))
  #expect(FixedScale.reduced(real: 1) == FixedScale(multiplier: 1 << 14, shift: 14))
  #expect(FixedScale.reduced(real: 1 - 0x1p-20) == FixedScale(multiplier: 0x7FFF, shift: 15))
  #expect(FixedScale(real: 0x1p-40) == FixedScale(multiplier: 1 << 23, shift: 63))
  #expect(FixedScale(real: 0x1p-63) == FixedScale(multiplier: 0, shift: 0))
  #expect(FixedScale(real: 3 * 0x1p30) == FixedScale(multiplier: 3 << 30, shift: 0))
  #expect(FixedScale(real: 0x1p40) == nil)
  #expect(FixedScale(real: -1) == nil)
  #expect(FixedScale(real: .nan) == nil)
  let third = try #require(FixedScale(real: 1.0 / 3))
  #expect(abs(third.real - 1.0 / 3) < 0x1p-32)
}
