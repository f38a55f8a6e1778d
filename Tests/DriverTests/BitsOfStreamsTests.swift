import Codegen
import GraphIR
import Importers
import ProgramFormat
import Support
import TargetModel
import TensorCore
import TestKit
import Testing

@testable import Driver
@testable import Quantize

/// Slices have palettes of their own. Where rows are unlike one another streams take fewer bits than one
/// palette for all would: what was asked for is used nevertheless, with one pass of compensation.
@Test func bitsAskedForAreUsed() throws {
  var model = RandomLlama()
  model.dim = 64
  model.hidden = 128
  model.layers = 1
  model.vocabulary = 4096
  model.tied = false
  model.weights = { name, shape in
    guard name == "output.weight" else { return nil }
    var random = SplitMix64(seed: 7)
    // As many rows as a slice has are alike.
    return ConstantData(
      floats: (0..<shape.count).map {
        Float(random.normal() * ($0 / shape[1] / 256 % 2 == 0 ? 0.2 : 0.05))
      })
  }
  let graph = model.graph()
  var random = SplitMix64(seed: 3)
  let text = (0..<16).map { _ in
    (0..<model.context).map { _ in Int32(random.next() % UInt64(model.vocabulary)) }
  }
  var recipe = try #require(QuantizationRecipe(name: "b4a16"))
  recipe.weights?.compensationSteps = 2
  let basis = try RoundingBasis(
    graph, recipe: recipe, calibration: Calibrator(graph).observe(text),
    curvature: Quantizer.curvature(graph, text, limit: 512), method: #require(recipe.weights),
    text: text)
  let target = try TargetLibrary.find("corstone-300")
  let facts = ProgramCompiler.ModelFacts(
    name: "test", architecture: "llama", parameters: 0, quant: "b4a16", bos: nil, eos: nil,
    tokenizer: [])
  var compiled = 0
  let made = try ModelPipeline(quiet: true).program(basis, recipe: recipe, within: 4) {
    graph throws(DiagnosticError) in
    compiled += 1
    return try ProgramCompiler(target: target).compile(graph, facts: facts)
  }
  let found = made.program.manifest.report.bitsPerWeight
  #expect(found <= 4)
  #expect(found > 0.99 * 4)
  #expect(compiled == 2)
}

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
    let observed = try pipeline.observed(
      model, for: .w4a16, calibration: nil, tokens: 2048, holdsOut: false)
    for (target, bits) in [("alif-e7-hp", 4.5), ("alif-e8-hp", 3.6)] {
      let part = try TargetLibrary.find(target)
      let recipe = try #require(QuantizationRecipe(name: "b\(bits)a16"))
      let method = try #require(recipe.weights)
      let program = try pipeline.program(
        RoundingBasis(observed, recipe: recipe, method: method), recipe: recipe, within: bits
      ) { graph throws(DiagnosticError) in
        try pipeline.compiled(graph, of: model, recipe: recipe, target: part)
      }.program
      let found = program.manifest.report.bitsPerWeight
      #expect(found <= bits, "\(target)")
      #expect(found > 0.99 * bits, "\(target)")
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
