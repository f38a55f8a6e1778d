import Quantize
import Support
import Testing

/// Recipes are named on command lines, in baselines and in packages.
@Suite struct RecipeNameTests {
  @Test(arguments: [
    "w4a16", "w4a8", "c4a16", "w2a16", "w2a8", "w4a8:codebook=15", "b3.8a16", "b2a8",
    "w8a16:levels=31,power=0.25", "b4a16:rate=0.5,order=1",
  ])
  func recipesHaveNames(_ name: String) throws {
    let recipe = try #require(QuantizationRecipe(name: name))
    #expect(recipe.name == name)
    #expect(recipe.weights != nil)
  }

  @Test(arguments: [
    "w5a16", "b9a16", "b0.1a16", "b4a4", "ba16", "bnana8", "w4a16:levels=0", "w4a16:codebook=17",
    "c4a16:codebook=1", "w4a16:x=1",
    "w4a16:shrinkage", "b4a16:power=2", "w4a16:shrinkage=-1", "w8a16:levels=1e99",
  ])
  func wrongRecipesAreRefused(_ name: String) {
    #expect(QuantizationRecipe(name: name) == nil)
  }

  /// Goals choose bits; activations and rotations stay what was asked for.
  @Test func goalsKeepTheRest() throws {
    let given = try #require(QuantizationRecipe(name: "w8a8:rotate=values"))
    let made = try given.with(bitsPerWeight: 3.8)
    #expect(made.name == "b3.80a8:rotate=values")
    #expect(made.rotations == .values && made.activations == .int8)
    #expect(
      try #require(QuantizationRecipe(name: "w4a16")).with(bitsPerWeight: 4).name == "b4.00a16")
    #expect(throws: DiagnosticError.self) { try given.with(bitsPerWeight: 9) }
  }
}
