import Foundation
import Importers
import Quantize
import TestKit
import Testing

/// A real model on real text: the float reference equals the published figure and quantisation
/// stays within its bars.
@Suite(
  .enabled(
    if: SharedData.exists("models/stories260K/stories260K.bin")
      && SharedData.exists("data/tinystories_val.txt"), "the shared model or text is absent"))
struct StoriesTests {
  /// Windows of 1000 characters from `start`, at most 512 tokens each.
  static func windows(_ model: ImportedModel, _ range: Range<Int>) throws -> [[Int32]] {
    let text = try String(
      contentsOf: SharedData.url("data/tinystories_val.txt"), encoding: .utf8)
    let characters = Array(text.unicodeScalars)
    let tokenizer = try #require(model.tokenizer)
    return range.map { index in
      var part = String.UnicodeScalarView()
      part.append(contentsOf: characters[index * 1000..<(index + 1) * 1000])
      return Array(tokenizer.encode(String(part), addBOS: true).prefix(512))
    }
  }

  @Test func floatEqualsTheReference() throws {
    let model = try ModelImporter.load(
      SharedData.url("models/stories260K/stories260K.bin").path)
    var float = try FloatLogitModel(model.graph)
    let score = try Evaluation.score(&float, try Self.windows(model, 0..<8))
    #expect(score.tokens == 3870)
    #expect(abs(score.nll - 1.384_547_599) < 1e-5)
  }

  @Test(arguments: [(QuantizationRecipe.w8a16, 0.003), (.w8a8, 0.02)])
  func quantisedStaysWithinItsBar(_ recipe: QuantizationRecipe, _ bar: Double) throws {
    let model = try ModelImporter.load(
      SharedData.url("models/stories260K/stories260K.bin").path)
    let graph = try Quantizer.quantize(
      model.graph, recipe: recipe, calibrationTokens: try Self.windows(model, 100..<116))
    var float = try FloatLogitModel(model.graph)
    var integer = try IntegerLogitModel(graph)
    let result = try Evaluation.compare(
      reference: &float, model: &integer, try Self.windows(model, 0..<8))
    #expect(result.perplexityRise < bar)
    #expect(result.meanDivergence < bar * 2)
  }
}
