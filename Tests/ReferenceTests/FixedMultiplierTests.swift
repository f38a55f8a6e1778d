import Support
import TensorCore
import Testing

@Suite struct FixedMultiplierTests {
  @Test func knownFactors() throws {
    let half = try #require(FixedMultiplier(fixed31: 0.5))
    #expect(half == FixedMultiplier(multiplier: 1 << 30, shift: 31))
    let one = try #require(FixedMultiplier(fixed31: 1))
    #expect(one == FixedMultiplier(multiplier: 1 << 30, shift: 30))
    // The digits round up to 2^31 and are halved.
    let nearly = try #require(FixedMultiplier(fixed31: 1 - 0x1p-40))
    #expect(nearly == one)
    let short = try #require(FixedMultiplier(fixed15: 0.5))
    #expect(short == FixedMultiplier(multiplier: 1 << 14, shift: 15))
    // 15 digits never become 2^15.
    let full = try #require(FixedMultiplier(fixed15: 1 - 0x1p-20))
    #expect(full.multiplier == 32767 && full.shift == 15)
  }

  @Test func outOfRangeIsNil() {
    for bad in [0, -1, .nan, .infinity, 0x1p40, 0x1p-40] {
      #expect(FixedMultiplier(fixed31: bad) == nil)
    }
    #expect(FixedMultiplier(fixed15: 0x1p20) == nil)
    #expect(FixedMultiplier.common([1, .nan]) == nil)
  }

  @Test func commonShift() throws {
    let (multipliers, shift) = try #require(FixedMultiplier.common([0.75, -0.25, 0]))
    #expect(shift == 31)
    #expect(multipliers == [3 << 29, -(1 << 29), 0])
    let zeros = try #require(FixedMultiplier.common([0, 0]))
    #expect(zeros.multipliers == [0, 0] && zeros.shift == 0)
  }

  @Test func closeToTheReal() throws {
    var random = SplitMix64(seed: 5)
    for _ in 0..<2000 {
      let real =
        (0.5 + random.uniform())
        * Double(sign: .plus, exponent: -Int(random.next() % 30), significand: 1)
      let wide = try #require(FixedMultiplier(fixed31: real))
      #expect(abs(wide.real / real - 1) <= 0x1p-31)
      let short = try #require(FixedMultiplier(fixed15: real / 16))
      #expect(abs(short.real * 16 / real - 1) <= 0x1p-14)
    }
  }

  @Test func roundingShift() {
    #expect(Natural.shift(5, 1) == 3)
    #expect(Natural.shift(-5, 1) == -2)
    #expect(Natural.shift(-6, 2) == -1)
    #expect(Natural.shift(7, 0) == 7)
    #expect(Natural.sat16(40000) == 32767 && Natural.sat16(-40000) == -32768)
    #expect(Natural.symsat(-128, limit: 127) == -127 && Natural.sat8(-200) == -128)
  }
}
