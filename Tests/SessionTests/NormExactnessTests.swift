import GraphIR
import Quantize
import Support
import TensorCore
import TestKit
import Testing

/// Norms have a form for rows of any size, one for rows that are alike and one for rows nearly the same: the compiled
/// bytes compute what the definition says in each.
@Test(
  arguments: [(Float(1), 2), (30, 1), (3000, 0)], ["corstone-300", "corstone-320"])
func normsOfAllForms(_ rows: (factor: Float, form: Int), _ target: String) throws {
  var shape = RandomLlama()
  shape.weights = { name, type in
    guard name == "token_embd.weight" else { return nil }
    var random = SplitMix64(seed: 3)
    return ConstantData(
      floats: (0..<type.count).map { index in
        Float(random.normal()) * (index / type[1] % 3 == 0 ? rows.factor : 1)
      })
  }
  for recipe in [QuantizationRecipe.w8a16, .w8a8] {
    let model = try CompiledModel(shape, recipe: recipe, target: target)
    let forms = model.graph.functions.flatMap(\.operations).compactMap { $0.int("form") }
    #expect(forms.contains(rows.form))
    try model.compareDecode([3, 1, 4, 0, 15, 9])
  }
}
