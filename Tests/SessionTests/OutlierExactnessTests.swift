import Quantize
import Support
import TestKit
import Testing

@testable import Session

/// A layer of two channels beside a wide one computes on the NPU what the reference does, token by token and in
/// batches.
@Test(
  arguments: ["alif-e7-hp", "alif-e8", "corstone-300-u55-32"], ["w8a16", "w8a8", "w4a16"])
func outlierLayersAreExact(_ target: String, _ name: String) throws {
  let recipe = try #require(QuantizationRecipe(name: name))
  let shape = RandomLlama.massive(3000, biased: true)
  let text = (0..<4).map { start in (0..<16).map { Int32((start * 17 + $0 * 5) % 64) } }
  let graph = try Quantizer.prepared(shape.graph(), for: recipe, watching: text)
  #expect(graph.functions[0].operations.count > shape.graph().functions[0].operations.count)
  let model = try CompiledModel(shape, graph: graph, recipe: recipe, target: target)
  var random = SplitMix64(seed: 43)
  try model.compareDecode((0..<4).map { _ in Int32(random.next() % 64) })
  let prompt = (0..<9).map { _ in Int32(random.next() % 64) }
  model.session.reset()
  try model.session.prompt(prompt)
  #expect(Array(model.session.logits) == (try model.expected(prompt).logits))
}
