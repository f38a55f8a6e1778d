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
  let program: Program
  let session: LanguageSession
  let interpreter: IntegerInterpreter
  let vocabulary: Int

  /// - Parameters:
  ///   - name: a target's name.
  ///   - npu: the NPU that takes the place of the target's, if any.
  init(
    _ shape: RandomLlama, recipe: QuantizationRecipe, target name: String, npu: String? = nil
  ) throws {
    let float = shape.graph()
    var random = SplitMix64(seed: 99)
    let sequences = (0..<4).map { _ in
      (0..<shape.context).map { _ in Int32(random.next() % UInt64(shape.vocabulary)) }
    }
    let graph = try Quantizer.quantize(float, recipe: recipe, calibrationTokens: sequences)
    var text = try String(
      contentsOf: SharedData.checkout.appendingPathComponent("Targets/\(name).yaml"),
      encoding: .utf8)
    if let npu { text.replace(#/variant: [a-z0-9-]+/#, with: "variant: \(npu)") }
    let target = try TargetFile.load(text, file: name)
    let facts = ProgramCompiler.ModelFacts(
      name: "random", architecture: "llama", parameters: 0, quant: recipe.name, bos: nil, eos: nil,
      tokenizer: [])
    program = try ProgramCompiler(target: target).compile(graph, facts: facts)
    session = try LanguageSession(program)
    interpreter = try IntegerInterpreter(graph)
    vocabulary = shape.vocabulary
  }

  /// Compares the KV caches, byte for byte.
  func compareState(_ state: IntegerState, _ what: String) {
    var offset = 0
    let bytes = session.bytes(of: .state)
    for tensor in state.tensors {
      let same = tensor.indices.allSatisfy { Int8(bitPattern: bytes[offset + $0]) == tensor[$0] }
      #expect(same, "KV cache after \(what)")
      offset += (tensor.count + 15) / 16 * 16
    }
  }

  /// Runs the tokens one by one on both and compares all logits and the KV caches.
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
      compareState(state, "token \(position)")
    }
  }
}

/// A prompt in batches leaves the caches and logits that single tokens would.
@Test(arguments: [QuantizationRecipe.w8a16, .w8a8], [1, 7, 8, 9, 23])
func promptsInBatchesEqualSingleTokens(_ recipe: QuantizationRecipe, _ count: Int) throws {
  let model = try CompiledModel(RandomLlama(), recipe: recipe, target: "alif-e7-hp")
  var random = SplitMix64(seed: 17)
  let tokens = (0..<count).map { _ in Int32(random.next() % 64) }
  try model.session.prompt(tokens)
  var state = model.interpreter.makeState()
  var last: IntegerTensor?
  for (position, token) in tokens.enumerated() {
    last = try model.interpreter.run("decode", ids: [token], position: position, state: &state)
  }
  guard case .int16(let logits)? = last else {
    Issue.record("decode gives no int16 logits")
    return
  }
  #expect(Array(model.session.logits) == logits)
  #expect(model.session.position == count)
  model.compareState(state, "\(count) tokens")
}

extension RandomLlama {
  /// One of six shapes that need padding, many slices, biases and grouped heads.
  static func uneven(_ index: Int) -> RandomLlama {
    var shape = RandomLlama()
    shape.seed = UInt64(index + 5)
    shape.dim = [24, 40, 96, 64, 200, 48][index]
    shape.heads = [3, 5, 6, 8, 4, 2][index]
    shape.kvHeads = [1, 5, 2, 4, 2, 1][index]
    shape.hidden = [50, 33, 172, 300, 129, 77][index]
    shape.vocabulary = [65, 130, 515, 100, 1023, 17][index]
    shape.biased = index % 2 == 1
    shape.tied = index % 3 != 0
    return shape
  }
}

@Test(arguments: 0..<6)
func unevenShapesAreExact(_ index: Int) throws {
  let shape = RandomLlama.uneven(index)
  let model = try CompiledModel(
    shape, recipe: index % 2 == 0 ? .w8a16 : .w8a8,
    target: ["alif-e7-hp", "corstone-300", "corstone-300-u55-64"][index % 3])
  var random = SplitMix64(seed: 23)
  try model.compareDecode(
    (0..<6).map { _ in Int32(random.next() % UInt64(shape.vocabulary)) })
}

@Test func badCallsAreDiagnosed() throws {
  let model = try CompiledModel(RandomLlama(), recipe: .w8a16, target: "corstone-300")
  #expect(throws: DiagnosticError.self) { try model.session.decode(64) }
  #expect(throws: DiagnosticError.self) { try model.session.decode(-1) }
  #expect(throws: DiagnosticError.self) { try model.session.prompt([]) }
  #expect(throws: DiagnosticError.self) {
    try model.session.prompt([Int32](repeating: 1, count: 33))
  }
  #expect(model.session.position == 0)
  for _ in 0..<32 { try model.session.decode(1) }
  #expect(throws: DiagnosticError.self) { try model.session.decode(1) }
}

@Test(
  arguments: ["corstone-300-u55-32", "corstone-300-u55-64", "corstone-300", "alif-e7-hp"],
  [QuantizationRecipe.w8a16, .w8a8])
func compiledDecodeEqualsTheInterpreter(_ target: String, _ recipe: QuantizationRecipe) throws {
  let model = try CompiledModel(RandomLlama(), recipe: recipe, target: target)
  var random = SplitMix64(seed: 3)
  try model.compareDecode((0..<12).map { _ in Int32(random.next() % 64) })
}
