import DeviceRuntime
import Foundation
import Support
import Testing

/// Greedy choice and sampling against the contract.
@Suite struct SamplerTests {
  @Test func argmaxTakesTheLowestOfEqual() {
    #expect(swl_argmax([3, 7, 7, -1], 4) == 1)
    #expect(swl_argmax([-32768, -32768], 2) == 0)
    #expect(swl_argmax([-32768, -32767, 32767], 3) == 2)
    #expect(swl_argmax(nil, 3) == -1)
    #expect(swl_argmax([1], 0) == -1)
    // Many, few of which are different: the first of the largest, wherever blocks end.
    var random = SplitMix64(seed: 8)
    for count in [1, 2, 63, 64, 65, 127, 128, 129, 515, 4096] {
      for range in [2, 5, 65536] {
        let logits = (0..<count).map { _ in
          Int16(truncatingIfNeeded: Int(random.next() % UInt64(range)) - range / 2)
        }
        let top = logits.max() ?? 0
        #expect(swl_argmax(logits, UInt32(count)) == Int32(logits.firstIndex(of: top) ?? -1))
      }
    }
  }

  @Test func zeroTemperatureIsGreedyAndDrawsNothing() {
    for temperature: Float in [0, -1, -.infinity, .nan, .leastNonzeroMagnitude] {
      var state: UInt64 = 99
      #expect(swl_sample([1, 5, 2], 3, 0.1, temperature, &state) == 1)
      #expect(state == 99)
    }
  }

  /// `fixed31` by the page's words, in double precision.
  private func fixed31(_ r: Double) -> (Int32, Int) {
    var e = Int(r.exponent) + 1
    var m = (r.significand / 2 * 0x1p31).rounded(.toNearestOrAwayFromZero)
    if m == 0x1p31 {
      m = 0x1p30
      e += 1
    }
    return (Int32(m), 31 - e)
  }

  @Test(arguments: 0..<200) func matchesTheContract(_ seed: UInt64) {
    var source = ValueSource(seed: seed)
    let count = [1, 2, 50, 512, 4096][Int(seed % 5)]
    let logits: [Int16] = source.values(count, extremes: seed % 3 == 0)
    let scale = Float(exp2(Double(source.below(-200..<20)) / 10)) * 1.1
    let temperature = Float(source.below(1..<300)) / 100
    var state = UInt64(seed) &* 0x1234_5678_9ABC_DEF1
    var generator = SplitMix64(seed: state)
    for _ in 0..<4 {
      let expected = Contract.sample(
        logits, factor: fixed31(Double(scale) / Double(temperature) * log2e * 4096),
        draw: generator.next())
      #expect(swl_sample(logits, UInt32(count), scale, temperature, &state) == Int32(expected))
    }
  }

  private var log2e: Double { 1.4426950408889634 }

  @Test func sumsBeyond32Bits() {
    // 200,000 equal logits of weight 2^15 each.
    let logits = [Int16](repeating: 5, count: 200_000)
    var state: UInt64 = 3
    var generator = SplitMix64(seed: 3)
    for _ in 0..<5 {
      let draw = generator.next() >> 32
      let expected = (UInt64(200_000 * 32768).multipliedFullWidth(by: draw))
      let threshold = expected.high << 32 | expected.low >> 32
      #expect(swl_sample(logits, 200_000, 0.01, 1, &state) == Int32(threshold / 32768))
    }
  }

  @Test func hugeTemperatureIsUniform() {
    var state: UInt64 = 11
    var seen = [0, 0, 0, 0]
    for _ in 0..<4000 {
      seen[Int(swl_sample([-32768, 32767, 0, 1], 4, 1e-3, .infinity, &state))] += 1
    }
    #expect(seen.allSatisfy { (850...1150).contains($0) })
  }

  @Test func frequenciesFollowTheWeights() {
    // Two logits ln 2 apart at scale 1/1024 and temperature 1: twice as likely.
    var state: UInt64 = 1
    var first = 0
    for _ in 0..<6000 where swl_sample([710, 0], 2, 1 / 1024, 1, &state) == 0 { first += 1 }
    #expect((3850...4150).contains(first))
  }
}
