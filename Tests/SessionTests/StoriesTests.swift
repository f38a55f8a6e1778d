import Codegen
import Foundation
import Importers
import Quantize
import Reference
import Support
import TargetModel
import TestKit
import Testing

@testable import Session

/// A real model, compiled: the simulated NPU computes what the integer interpreter defines.
@Test(
  .enabled(
    if: SharedData.exists("models/stories260K/stories260K.bin"), "the shared model is absent"),
  arguments: [QuantizationRecipe.w8a16, .w8a8], ["alif-e7-he", "alif-e8"])
func storiesRunExactly(_ recipe: QuantizationRecipe, _ name: String) throws {
  let model = try ModelImporter.load(
    SharedData.url("models/stories260K/stories260K.bin").path,
    ImportOptions(
      context: 128, tokenizer: SharedData.url("models/stories260K/tok512.bin").path))
  let tokenizer = try #require(model.tokenizer)
  let text = tokenizer.encode(
    "Once upon a time there was a little girl who had a red ball. She liked to play with it in the "
      + "garden. One day the ball rolled under the big tree and a bird looked at it.")
  let graph = try Quantizer.quantize(model.graph, recipe: recipe, calibrationTokens: [text])
  let target = try TargetFile.load(
    String(
      contentsOf: SharedData.checkout.appendingPathComponent("Targets/\(name).yaml"),
      encoding: .utf8), file: name)
  var options = ProgramCompiler.Options()
  options.batch = .fastest(promptTokens: text.count)
  let program = try ProgramCompiler(target: target, options: options).compile(
    graph,
    facts: ProgramCompiler.ModelFacts(
      name: "stories", architecture: "llama", parameters: model.parameters, quant: recipe.name,
      bos: 1, eos: 2, tokenizer: []))
  let session = try LanguageSession(program)
  let interpreter = try IntegerInterpreter(graph)
  var state = interpreter.makeState()
  for (position, token) in text.enumerated() {
    try session.decode(token)
    let expected = try interpreter.run("decode", ids: [token], position: position, state: &state)
    guard case .int16(let logits)? = expected else {
      Issue.record("decode gives no int16 logits")
      return
    }
    #expect(Array(session.logits) == logits, "token \(position)")
  }
  // The compiler's events are those that the simulator finds in the stream.
  let report = program.manifest.report
  #expect(session.counters.npuCycles == text.count * report.decodeCycles)
  // The same text as one prompt.
  let logits = Array(session.logits)
  session.reset()
  session.resetCounters()
  try session.prompt(text)
  #expect(Array(session.logits) == logits)
  let counters = session.counters
  let batches = counters.jobs - counters.decodedTokens
  #expect(batches > 0 && counters.decodedTokens < 8)
  let batch = try #require(program.entry("prefill")).tokens
  let near = min(batches, program.manifest.position.nearPositions / batch)
  #expect(
    counters.npuCycles
      == near * report.nearCycles + (batches - near) * report.prefillCycles
      + counters.decodedTokens * report.decodeCycles)
  #expect(counters.npuCycles < text.count * report.decodeCycles * 2 / 3)
  #expect(program.manifest.report.sramPeakBytes <= 4 << 20)
}
