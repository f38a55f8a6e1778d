import Foundation
import Importers
import Testing

@Suite struct RopeTableTests {
  static func configuration(
    headDim: Int = 8, ropeDim: Int? = nil, scaling: RopeScaling = .none
  ) -> LlamaConfiguration {
    LlamaConfiguration(
      dim: 16, layers: 1, heads: 2, kvHeads: 1, headDim: headDim, hidden: 4, vocabulary: 4,
      modelContext: 5, ropeBase: 10000, ropeScaling: scaling, ropeDim: ropeDim, tied: true)
  }

  @Test func tableHoldsCosinesAndSines() throws {
    let c = Self.configuration()
    let table = try #require(RopeTable.make(c).floats(count: 40))
    for position in 0..<5 {
      for pair in 0..<4 {
        let angle = Double(position) / pow(10000, Double(pair) / 4)
        #expect(table[position * 8 + pair * 2] == Float(cos(angle)))
        #expect(table[position * 8 + pair * 2 + 1] == Float(sin(angle)))
      }
    }
  }

  @Test func channelsBeyondTheRotaryWidthPass() throws {
    let table = try #require(RopeTable.make(Self.configuration(ropeDim: 4)).floats(count: 40))
    #expect(Array(table[12..<16]) == [1, 0, 1, 0])
    #expect(table[8] == Float(cos(1.0)))
  }

  @Test func scalings() {
    let plain = RopeTable.frequencies(Self.configuration())
    let linear = RopeTable.frequencies(Self.configuration(scaling: .linear(factor: 4)))
    #expect(zip(plain, linear).allSatisfy { $0 == 4 * $1 })
    let divided = RopeTable.frequencies(Self.configuration(scaling: .divisors([1, 2, 4, 8])))
    #expect(divided == zip(plain, [1, 2, 4, 8]).map { $0 / $1 })
    // Wavelengths 6.3, 63, 628 and 6283 against bounds 100 and 400 of a context of 400.
    let llama3 = RopeTable.frequencies(
      Self.configuration(
        scaling: .llama3(factor: 8, low: 1, high: 4, originalContext: 400)))
    #expect(llama3[0] == plain[0])
    #expect(llama3[1] == plain[1])
    #expect(llama3[2] == plain[2] / 8)
    let between = RopeTable.frequencies(
      Self.configuration(
        scaling: .llama3(factor: 8, low: 1, high: 4, originalContext: 126)))
    #expect(between[1] > plain[1] / 8 && between[1] < plain[1])
  }
}
