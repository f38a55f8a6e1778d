import Codegen
import Foundation
import GraphIR
import ProgramFormat
import Quantize
import Reference
import Support
import TargetModel
import TestKit
import Testing

@testable import Session

/// A random model compiled for a target, with the interpreter that defines what it must compute.
struct CompiledModel {
  let session: LanguageSession
  let interpreter: IntegerInterpreter
  let vocabulary: Int

  init(_ shape: RandomLlama, recipe: QuantizationRecipe, target name: String) throws {
    let float = shape.graph()
    var random = SplitMix64(seed: 99)
    let sequences = (0..<4).map { _ in
      (0..<shape.context).map { _ in Int32(random.next() % UInt64(shape.vocabulary)) }
    }
    let graph = try Quantizer.quantize(float, recipe: recipe, calibrationTokens: sequences)
    let target = try TargetFile.load(
      String(
        contentsOf: SharedData.checkout.appendingPathComponent("Targets/\(name).yaml"),
        encoding: .utf8), file: name)
    let facts = ProgramCompiler.ModelFacts(
      name: "random", architecture: "llama", parameters: 0, quant: recipe.name, bos: nil, eos: nil,
      tokenizer: [])
    let program = try ProgramCompiler(target: target).compile(graph, facts: facts)
    session = try LanguageSession(program)
    interpreter = try IntegerInterpreter(graph)
    vocabulary = shape.vocabulary
  }

  /// Runs the tokens one by one on both and compares all logits.
  func compareDecode(_ tokens: [Int32]) throws {
    var state = interpreter.makeState()
    for (position, token) in tokens.enumerated() {
      try session.decode(token)
      let expected = try interpreter.run(
        "decode", ids: [token], position: position, state: &state)
      guard case .int16(let logits)? = expected else {
        Issue.record("decode gives no int16 logits")
        return
      }
      #expect(Array(session.logits) == logits, "token \(position)")
    }
  }
}

@Test(
  arguments: ["corstone-300-u55-32", "corstone-300-u55-64", "corstone-300", "alif-e7-hp"],
  [QuantizationRecipe.w8a16, .w8a8])
func compiledDecodeEqualsTheInterpreter(_ target: String, _ recipe: QuantizationRecipe) throws {
  let model = try CompiledModel(RandomLlama(), recipe: recipe, target: target)
  var random = SplitMix64(seed: 3)
  try model.compareDecode((0..<12).map { _ in Int32(random.next() % 64) })
}
