import Quantize
import Reference
import Support
import TestKit
import Testing

@testable import Session

/// Every size of U85, with weights read in place (`alif-e8`) and copied slice by slice
/// (`corstone-320`). The simulator fails jobs that it finds a hazard in.
@Suite struct ExactnessU85Tests {
  @Test(
    arguments: [
      ("alif-e8", nil), ("corstone-320", nil), ("corstone-320-u85-128", nil),
      ("corstone-320-u85-512", nil), ("corstone-320-u85-1024", nil),
      ("corstone-320-u85-2048", nil), ("alif-e8", "ethos-u85-512"),
    ] as [(String, String?)], [QuantizationRecipe.w8a16, .w8a8])
  func decodeEqualsTheInterpreter(
    _ target: (name: String, npu: String?), _ recipe: QuantizationRecipe
  ) throws {
    let model = try CompiledModel(
      RandomLlama(), recipe: recipe, target: target.name, npu: target.npu)
    var random = SplitMix64(seed: 3)
    try model.compareDecode((0..<12).map { _ in Int32(random.next() % 64) })
  }

  /// A prompt in batches leaves the caches and logits that single tokens would.
  @Test(arguments: [QuantizationRecipe.w8a16, .w8a8], [1, 7, 8, 9, 23])
  func promptsInBatchesEqualSingleTokens(_ recipe: QuantizationRecipe, _ count: Int) throws {
    let model = try CompiledModel(
      RandomLlama(), recipe: recipe, target: count % 2 == 1 ? "corstone-320" : "alif-e8")
    var random = SplitMix64(seed: 17)
    let tokens = (0..<count).map { _ in Int32(random.next() % 64) }
    try model.comparePrompt(tokens)
  }

  /// Shapes that need padding, many slices, biases and grouped heads.
  @Test(arguments: 0..<6)
  func unevenShapesAreExact(_ index: Int) throws {
    let shape = RandomLlama.uneven(index)
    let model = try CompiledModel(
      shape, recipe: index % 2 == 0 ? .w8a16 : .w8a8,
      target: [
        "alif-e8", "corstone-320", "corstone-320-u85-128", "alif-e8", "corstone-320-u85-512",
        "corstone-320-u85-1024",
      ][index])
    var random = SplitMix64(seed: 23)
    try model.compareDecode(
      (0..<6).map { _ in Int32(random.next() % UInt64(shape.vocabulary)) })
  }
}
