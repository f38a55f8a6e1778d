import Importers
import Support
import TensorCore
import TestKit
import Testing

@testable import Quantize

/// Caches and embeddings of eight and four bits, by what they cost.
@Suite struct StorageChoiceTests {
  private static let weights = [
    (2.0, 0.4), (3, 0.1), (4, 0.025), (5, 0.00625), (6, 0.0015625),
  ].map { WeightChoice(name: "step", bitsPerWeight: $0.0, expectedDivergence: $0.1) }

  private static func caches(_ values: Double, _ both: Double) -> [StorageChoice] {
    [(8, 8, 8000, 0.0), (8, 4, 6000, values), (4, 4, 4000, both)].map {
      StorageChoice(
        caches: CacheTypes(keyBits: $0.0, valueBits: $0.1), embeddings: .int8, cacheBytes: $0.2,
        tableBytes: 0, divergence: $0.3)
    }
  }

  private func chosen(
    _ caches: [StorageChoice], count: Int, _ divergence: Double
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

  /// In so much read-only memory a small table leaves weights more bits; caches take none of it.
  @Test func aTableIsWorthWhatItLeavesWeights() throws {
    func chosen(_ bytes: Int, count: Int, _ divergence: Double) throws -> ElementType {
      let tables = [(ElementType.int8, 4000, 0.0), (.int4, 2000, divergence)].map {
        StorageChoice(
          caches: CacheTypes(), embeddings: $0.0, cacheBytes: 1_000_000, tableBytes: $0.1,
          divergence: $0.2)
      }
      return try #require(
        Quantizer.best(of: tables, weights: Self.weights, count: count, bytes: bytes)
      ).embeddings
    }
    // 8,000 weights: 4 bits and 0.025, or 6 and 0.0016 with what the table loses.
    #expect(try chosen(8000, count: 8000, 0.02) == .int4)
    #expect(try chosen(8000, count: 8000, 0.03) == .int8)
    // 80,000 weights do not notice 2,000 bytes.
    #expect(try chosen(44_000, count: 80_000, 0.02) == .int8)
    // Less than the least bits.
    #expect(try chosen(4500, count: 8000, 0.02) == .int4)
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
    var open = try #require(QuantizationRecipe(name: "w8a16:kv=auto,embeddings=auto"))
    let choices = try Quantizer.storageChoices(observed, recipe: open)
    #expect(choices.count == 8)
    #expect(Set(choices.map(\.cacheBytes)) == [163_840, 122_880, 81_920])
    #expect(Set(choices.map(\.tableBytes)) == [32768, 16384])
    func divergence(_ keys: Int, _ values: Int, _ table: ElementType) throws -> Double {
      try #require(
        choices.first { $0.caches.bits == (keys, values) && $0.embeddings == table }
      ).divergence
    }
    let eight = try divergence(8, 8, .int8)
    let (values, table) = (try divergence(8, 4, .int8), try divergence(8, 8, .int4))
    #expect(eight < 0.003 && values < 0.02 && values > 2 * eight)
    #expect(table < values && table > eight)
    #expect(try divergence(4, 8, .int8) > 3 * values)
    open.caches = CacheTypes()
    #expect(try Quantizer.storageChoices(observed, recipe: open).count == 2)
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
