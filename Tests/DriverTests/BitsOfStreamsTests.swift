import GraphIR
import Importers
import ProgramFormat
import Quantize
import Support
import TargetModel
import TestKit
import Testing

@testable import Driver

/// Bits that were asked for bound the compiled streams, padding and headers of slices included.
@Suite(
  .enabled(
    if: SharedData.exists("models/stories260K/stories260K.bin"), "the shared model is absent"))
struct BitsOfStreamsTests {
  @Test func streamsTakeNoMoreThanAskedFor() throws {
    let pipeline = ModelPipeline(quiet: true)
    let folder = SharedData.url("models/stories260K").path
    let model = try pipeline.imported(
      folder + "/stories260K.bin", ImportOptions(tokenizer: folder + "/tok512.bin"))
    let observed = try pipeline.observed(model, calibration: nil, tokens: 2048, holdsOut: false)
    for (target, bits) in [("alif-e7-hp", 4.5), ("alif-e8-hp", 3.6)] {
      let part = try TargetLibrary.find(target)
      let recipe = try #require(QuantizationRecipe(name: "b\(bits)a16"))
      let method = try #require(recipe.weights)
      let program = try pipeline.program(
        observed, recipe: recipe, method: method, within: bits
      ) { graph throws(DiagnosticError) in
        try pipeline.compiled(graph, of: model, recipe: recipe, target: part)
      }
      let found = program.manifest.report.bitsPerWeight
      #expect(found <= bits, "\(target)")
      #expect(found > 0.975 * bits, "\(target)")
    }
  }

  /// The integer stage of an evaluation compiles what it measures when a target is named.
  @Test func integerStagesKnowTheirBits() throws {
    let folder = SharedData.url("models/stories260K").path
    func subject(_ target: String?) throws -> EvaluationSubject {
      let plan = try EvaluationPlan(
        folder + "/stories260K.bin",
        EvaluationPlan.Options(
          stage: .integer, quant: "b4.2a16:tokens=2048,adapt=8", target: target, maxTokens: 64,
          text: "unread", tokenizer: folder + "/tok512.bin"), baseline: nil, records: false)
      return try EvaluationSubject(plan, quiet: true)
    }
    let bits = try #require(try subject("alif-e7-hp").manifest?.report.bitsPerWeight)
    #expect(bits <= 4.2)
    #expect(bits > 4.1)
    let plain = try subject(nil)
    #expect(plain.manifest == nil)
    #expect(plain.program == nil)
  }
}
