import GraphIR
import Quantize
import Reference
import Support
import TensorCore
import TestKit
import Testing

/// Biases of rows whose weights are nearly nothing keep their size.
@Test(arguments: [Float(0), 1e-7, 1e-4], [QuantizationRecipe.w8a16, .w8a8])
func biasesOfIdleRowsFit(_ size: Float, _ recipe: QuantizationRecipe) throws {
  var model = RandomLlama()
  model.gated = false
  model.biasedThroughout = true
  model.weights = { name, shape in
    guard name.hasSuffix("ffn_up.weight") || name.hasSuffix("attn_k.weight") else { return nil }
    var random = SplitMix64(seed: 77)
    let deviation = 1 / Float(shape[1]).squareRoot()
    return ConstantData(
      floats: (0..<shape.count).map {
        Float(random.normal()) * ($0 / shape[1] % 5 == 0 ? size : deviation)
      })
  }
  let graph = model.graph()
  let integer = try Quantizer.quantize(
    graph, recipe: recipe, calibrationTokens: QuantizerStructureTests.sequences(model))
  for constant in graph.constants where constant.name.hasSuffix("ffn_up.bias") {
    let count = constant.type.shape.count
    let wanted = try #require(constant.data?.floats(count: count))
    let made = try #require(integer.constants.first { $0.name == constant.name })
    let steps = try #require(made.data?.integers(Int32.self, count: count))
    let scales = try #require(made.type.quant?.scales)
    for channel in 0..<count {
      let found = Float(steps[channel]) * scales[channel]
      #expect(abs(found - wanted[channel]) < 1e-3 * abs(wanted[channel]) + 1e-4)
    }
  }
  var reference = try FloatLogitModel(graph)
  var judged = try IntegerLogitModel(integer)
  let text = QuantizerStructureTests.sequences(model, count: 2)
  let result = try Evaluation.compare(reference: &reference, model: &judged, text)
  #expect(result.meanDivergence < 0.03)
}
