import Importers
import Support
import TestKit
import Testing

@testable import Quantize

/// Caches of eight and four bits, by what they cost.
@Suite struct CacheChoiceTests {
  private static let weights = [
    (2.0, 0.4), (3, 0.1), (4, 0.025), (5, 0.00625), (6, 0.0015625),
  ].map { WeightChoice(name: "step", bitsPerWeight: $0.0, expectedDivergence: $0.1) }

  private static func caches(_ values: Double, _ both: Double) -> [CacheChoice] {
    [(8, 8, 8000, 0.0), (8, 4, 6000, values), (4, 4, 4000, both)].map {
      CacheChoice(
        caches: CacheTypes(keyBits: $0.0, valueBits: $0.1), bytes: $0.2, divergence: $0.3)
    }
  }

  private func chosen(
    _ caches: [CacheChoice], count: Int, _ divergence: Double
  ) -> (keys: Int, values: Int)? {
    Quantizer.cheapest(
      of: caches, weights: Self.weights, count: count, divergence: divergence)?.caches.bits
  }

  /// What caches lose the weights may not: with many weights that is dearer than the caches' bytes.
  @Test func cachesAndWeightsHaveOnePrice() throws {
    let caches = Self.caches(0.02, 0.049)
    #expect(try #require(chosen(caches, count: 1000, 0.1)) == (4, 4))
    #expect(try #require(chosen(caches, count: 1_000_000, 0.1)) == (8, 8))
    // 0.08 in place of 0.1 is a sixth of a bit; 0.051 nearly half.
    #expect(try #require(chosen(caches, count: 70_000, 0.1)) == (8, 4))
  }

  @Test func cachesLoseHalfAtMost() throws {
    #expect(try #require(chosen(Self.caches(0.03, 0.06), count: 10, 0.1)) == (8, 4))
    #expect(try #require(chosen(Self.caches(0.06, 0.07), count: 10, 0.1)) == (8, 8))
    #expect(chosen([], count: 10, 0.1) == nil)
    // None loses little enough: the least.
    let all = Self.caches(0.06, 0.07).dropFirst()
    #expect(try #require(chosen(Array(all), count: 10, 0.01)) == (8, 4))
  }

  /// On a real model, measured.
  @Test(
    .enabled(
      if: SharedData.exists("models/stories260K/stories260K.bin")
        && SharedData.exists("data/tinystories_val.txt"), "the shared model or text is absent"))
  func fourBitsCostWhatTheySave() throws {
    let model = try ModelImporter.load(
      SharedData.url("models/stories260K/stories260K.bin").path)
    let text = try StoriesTests.windows(model, 100..<108)
    let observed = try ObservedModel(
      model.graph, for: .w8a16, calibrationTokens: text, limit: 2048, holdsOut: true
    ) { _, _, _ in }
    let choices = try Quantizer.cacheChoices(observed, recipe: .w8a16)
    #expect(choices.map(\.bytes) == [163_840, 122_880, 122_880, 81_920])
    func divergence(_ keys: Int, _ values: Int) throws -> Double {
      try #require(choices.first { $0.caches.bits == (keys, values) }).divergence
    }
    let (eight, four) = (try divergence(8, 8), try divergence(8, 4))
    #expect(eight < 0.003 && four < 0.02 && four > 2 * eight)
    #expect(try divergence(4, 8) > 3 * four)
    // The whole integer model loses about as much as its parts.
    var float = try FloatLogitModel(model.graph)
    var integer = try IntegerLogitModel(
      Quantizer.quantize(
        model.graph, recipe: #require(QuantizationRecipe(name: "w8a16:values=4")),
        calibrationTokens: text))
    let result = try Evaluation.compare(
      reference: &float, model: &integer, try StoriesTests.windows(model, 0..<8))
    #expect(result.meanDivergence < 0.015)
    #expect(result.perplexityRise < 0.02)
  }
}
