import Foundation
import GraphIR
import Importers
import Reference
import Support
import TensorCore
import TestKit
import Testing

@Suite struct FloatInterpreterTests {
  @Test(arguments: [true, false])
  func batchesEqualSingleTokens(_ biased: Bool) throws {
    var model = RandomLlama()
    model.biased = biased
    model.tied = !biased
    let interpreter = try FloatInterpreter(model.graph())
    let ids = (0..<14).map { Int32($0 * 5 % 64) }
    var single = interpreter.makeState()
    var expected: [[Float]] = []
    for (position, id) in ids.enumerated() {
      expected.append(
        try interpreter.run("decode", ids: [id], position: position, state: &single))
    }
    var batch = interpreter.makeState()
    var scored = try interpreter.run("score", ids: Array(ids[..<8]), position: 0, state: &batch)
    scored += try interpreter.run("score", ids: Array(ids[8...]), position: 8, state: &batch)
    #expect(scored == expected.flatMap { $0 })
    var prefilled = interpreter.makeState()
    #expect(
      try interpreter.run("prefill", ids: Array(ids[..<8]), position: 0, state: &prefilled).isEmpty)
    let next = try interpreter.run("decode", ids: [ids[8]], position: 8, state: &prefilled)
    #expect(next == expected[8])
  }

  /// The whole model once more, written as plainly as possible in double precision.
  @Test func equalsAPlainEvaluation() throws {
    var model = RandomLlama()
    model.layers = 1
    let graph = model.graph()
    let interpreter = try FloatInterpreter(graph)
    var state = interpreter.makeState()
    let ids: [Int32] = [3, 60, 11, 3]
    let logits = try interpreter.run("score", ids: ids, position: 0, state: &state)
    func weights(_ name: String) throws -> [Double] {
      let constant = try #require(graph.constants.first { $0.name.hasSuffix(name) })
      return try #require(constant.data?.floats(count: constant.type.shape.count)).map(Double.init)
    }
    func times(_ w: [Double], _ x: [Double]) -> [Double] {
      (0..<w.count / x.count).map { o in
        x.indices.reduce(0) { $0 + w[o * x.count + $1] * x[$1] }
      }
    }
    func norm(_ x: [Double], _ gamma: [Double]) -> [Double] {
      let factor = 1 / (x.reduce(0) { $0 + $1 * $1 } / Double(x.count) + 1e-5).squareRoot()
      return zip(x, gamma).map { $0 * $1 * factor }
    }
    let (dim, headDim) = (model.dim, model.dim / model.heads)
    func rotate(_ x: [Double], _ position: Int) -> [Double] {
      var out = x
      for c in stride(from: 0, to: x.count, by: 2) {
        let angle = Double(position) * pow(10000, -Double(c % headDim) / Double(headDim))
        out[c] = x[c] * cos(angle) - x[c + 1] * sin(angle)
        out[c + 1] = x[c] * sin(angle) + x[c + 1] * cos(angle)
      }
      return out
    }
    let table = try weights("token_embd.weight")
    var keys: [[Double]] = []
    var values: [[Double]] = []
    for (t, id) in ids.enumerated() {
      var x = Array(table[Int(id) * dim..<(Int(id) + 1) * dim])
      let h = norm(x, try weights("attn_norm.weight"))
      let q = rotate(times(try weights("attn_q.weight"), h), t)
      keys.append(rotate(times(try weights("attn_k.weight"), h), t))
      values.append(times(try weights("attn_v.weight"), h))
      var context: [Double] = []
      for head in 0..<model.heads {
        let group = head / (model.heads / model.kvHeads)
        let scores = keys.map { key in
          exp(
            (0..<headDim).reduce(0) { $0 + q[head * headDim + $1] * key[group * headDim + $1] }
              / Double(headDim).squareRoot())
        }
        let sum = scores.reduce(0, +)
        context += (0..<headDim).map { c in
          zip(scores, values).reduce(0) { $0 + $1.0 * $1.1[group * headDim + c] } / sum
        }
      }
      x = zip(x, times(try weights("attn_output.weight"), context)).map { $0 + $1 }
      let h2 = norm(x, try weights("ffn_norm.weight"))
      let gate = times(try weights("ffn_gate.weight"), h2).map { $0 / (1 + exp(-$0)) }
      let gated = zip(gate, times(try weights("ffn_up.weight"), h2)).map { $0 * $1 }
      x = zip(x, times(try weights("ffn_down.weight"), gated)).map { $0 + $1 }
      let expected = times(table, norm(x, try weights("output_norm.weight")))
      for (o, value) in expected.enumerated() {
        #expect(abs(Double(logits[t * model.vocabulary + o]) - value) < 1e-4)
      }
    }
  }

  @Test func mistakesAreDiagnosed() throws {
    let model = RandomLlama()
    let graph = model.graph()
    let interpreter = try FloatInterpreter(graph)
    var state = interpreter.makeState()
    #expect(throws: DiagnosticError.self) {
      try interpreter.run("decode", ids: [64], position: 0, state: &state)
    }
    #expect(throws: DiagnosticError.self) {
      try interpreter.run("decode", ids: [-1], position: 0, state: &state)
    }
    #expect(throws: DiagnosticError.self) {
      try interpreter.run("decode", ids: [1, 2], position: 0, state: &state)
    }
    #expect(throws: DiagnosticError.self) {
      try interpreter.run("decode", ids: [1], position: model.context, state: &state)
    }
    #expect(throws: DiagnosticError.self) {
      try interpreter.run("absent", ids: [1], position: 0, state: &state)
    }
    var broken = graph
    broken.constants[1].data = nil
    #expect(throws: DiagnosticError.self) { try FloatInterpreter(broken) }
    broken = graph
    for i in broken.functions[0].operations.indices {
      broken.functions[0].operations[i].operands.removeLast()
    }
    #expect(throws: DiagnosticError.self) { try FloatInterpreter(broken) }
    #expect(throws: DiagnosticError.self) { try IntegerInterpreter(graph) }
  }

  static let stories = "models/stories260K/stories260K.bin"

  private struct Continuation: Decodable {
    var promptIds: [Int32]
    var outIds: [Int32]
  }

  @Test(
    .enabled(if: SharedData.exists(stories), "the shared stories260K model is absent"),
    arguments: ["Once upon a time", "Lily and Tom went to the park", "The dog was"])
  func continuesAsTheReference(_ prompt: String) throws {
    let model = try ModelImporter.load(SharedData.url(Self.stories).path)
    let json = try Data(
      contentsOf: SharedData.url("models/stories260K/reference.json"))
    let all = try #require(try JSONSerialization.jsonObject(with: json) as? [String: Any])
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    let expected = try decoder.decode(
      Continuation.self, from: try JSONSerialization.data(withJSONObject: all[prompt] as Any))
    let interpreter = try FloatInterpreter(model.graph, functions: ["decode"])
    var state = interpreter.makeState()
    var ids = expected.promptIds
    var made: [Int32] = []
    var position = 0
    while made.count < expected.outIds.count {
      let logits = try interpreter.run(
        "decode", ids: [ids[position]], position: position, state: &state)
      position += 1
      guard position == ids.count else { continue }
      let top = try #require(logits.max())
      let next = Int32(try #require(logits.firstIndex(of: top)))
      made.append(next)
      ids.append(next)
    }
    #expect(made == expected.outIds)
  }
}
