import GraphIR
import Quantize
import Reference
import Support
import TensorCore
import TestKit
import Testing

/// The integer graph of a random model predicts nearly what the float graph does.
@Suite struct IntegerClosenessTests {
  @Test(arguments: [false, true], [UInt64(1), 2])
  func integerFollowsFloat(_ biased: Bool, _ seed: UInt64) throws {
    var model = RandomLlama()
    model.biased = biased
    model.tied = !biased
    model.seed = seed
    let graph = model.graph()
    let text = QuantizerStructureTests.sequences(model, count: 8)
    for (recipe, limit) in [(QuantizationRecipe.w8a16, 0.01), (.w8a8, 0.03)] {
      let integer = try Quantizer.quantize(graph, recipe: recipe, calibrationTokens: text)
      var reference = try FloatLogitModel(graph)
      var judged = try IntegerLogitModel(integer)
      let result = try Evaluation.compare(
        reference: &reference, model: &judged, Array(text.prefix(2)))
      #expect(result.meanDivergence < limit)
      #expect(result.model.tokens == 2 * (model.context - 1))
    }
  }

  @Test(arguments: QuantizationRecipe.all)
  func batchesEqualSingleTokens(_ recipe: QuantizationRecipe) throws {
    let model = RandomLlama()
    let graph = try Quantizer.quantize(
      model.graph(), recipe: recipe, calibrationTokens: QuantizerStructureTests.sequences(model))
    let interpreter = try IntegerInterpreter(graph)
    let ids = (0..<8).map { Int32($0 * 7 % 64) }
    var batch = interpreter.makeState()
    let scored = try #require(
      try interpreter.run("score", ids: ids, position: 0, state: &batch)
    ).widened
    var single = interpreter.makeState()
    var decoded: [Int32] = []
    for (position, id) in ids.enumerated() {
      decoded += try #require(
        try interpreter.run("decode", ids: [id], position: position, state: &single)
      ).widened
    }
    #expect(scored == decoded)
    #expect(batch.tensors == single.tensors)
    var prefilled = interpreter.makeState()
    #expect(try interpreter.run("prefill", ids: ids, position: 0, state: &prefilled) == nil)
    #expect(prefilled.tensors == batch.tensors)
  }

  @Test func observersSeeEveryValue() throws {
    let model = RandomLlama()
    let graph = try Quantizer.quantize(
      model.graph(), recipe: .w8a8, calibrationTokens: QuantizerStructureTests.sequences(model))
    let interpreter = try IntegerInterpreter(graph)
    let function = try #require(graph.function("decode"))
    var state = interpreter.makeState()
    var seen: [Int] = []
    _ = try interpreter.run("decode", ids: [1], position: 0, state: &state) {
      index, value, numbers in
      seen.append(index)
      #expect(numbers.count == function[value].type.shape.count)
      #expect(numbers.element == function[value].type.element)
      #expect(numbers.bytes.count == function[value].type.byteCount)
    }
    #expect(seen == function.operations.indices.filter { !function.operations[$0].results.isEmpty })
  }

  @Test func activationTable() {
    let table = LookupTable.entries(inputScale: 0.001, outputScale: 0.0005, LookupTable.silu)
    // At x = 0 (entry 256) silu is 0 and rises by 1/2: 128 · 0.001 / 2 / 0.0005 = 128 steps.
    #expect(Int16(truncatingIfNeeded: table[256]) == 0)
    #expect(abs(Int(table[256] >> 16) - 132) <= 4)
    // At the top it is linear and saturates.
    #expect(Int16(truncatingIfNeeded: table[511]) == .max)
  }
}
