import GraphIR
import Quantize
import TestKit
import Testing

/// What the quantiser makes, of every recipe, holds to the rules of the representation and survives
/// its textual form.
@Suite struct QuantizedGraphVerifies {
  @Test(arguments: QuantizationRecipe.all, [false, true])
  func verifies(_ recipe: QuantizationRecipe, _ biased: Bool) throws {
    var model = RandomLlama()
    model.biased = biased
    let float = model.graph()
    try Verifier.verify(float)
    let graph = try Quantizer.quantize(
      float, recipe: recipe, calibrationTokens: QuantizerStructureTests.sequences(model))
    try Verifier.verify(graph)
    let back = try GraphParser.parse(GraphPrinter.print(graph))
    #expect(back.functions == graph.functions)
    #expect(back.states == graph.states)
    #expect(back.constants.map(\.type) == graph.constants.map(\.type))
    try Verifier.verify(back)
  }
}
