import Quantize
import Support
import TestKit
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
    "w8a16:kv=2", "w8a16:keys", "w8a16:kv=4=4", "w4a16:shrinkage", "b4a16:power=2",
    "w4a16:shrinkage=-1", "w8a16:levels=1e99",
  ])
  func wrongRecipesAreRefused(_ name: String) {
    #expect(QuantizationRecipe(name: name) == nil)
    #expect(QuantizationRecipe.problem(in: name) != nil)
  }

  /// Caches are the model's: they stay when a goal chooses bits.
  @Test(arguments: [
    ("kv=4", 4, 4), ("keys=4", 4, 8), ("values=4", 8, 4), ("kv=8", 8, 8), ("kv=4,keys=8", 8, 4),
  ])
  func recipesSayWhatCachesHold(_ option: String, _ keys: Int, _ values: Int) throws {
    let recipe = try #require(QuantizationRecipe(name: "w8a16:outliers=0,\(option)"))
    #expect(recipe.caches.bits == (keys, values))
    #expect(recipe.weights == nil && !recipe.separatesOutliers)
    let made = try recipe.with(bitsPerWeight: 4)
    #expect(made.caches == recipe.caches)
    #expect(QuantizationRecipe(name: made.name)?.caches == recipe.caches)
  }

  @Test func wrongOptionsAreNamed() {
    #expect(QuantizationRecipe.problem(in: "w8a16:values=4,outliers=0") == nil)
    #expect(
      QuantizationRecipe.problem(in: "w8a16:kv=4,values=5")?
        .hasPrefix("recipe w8a16 has no option 'values=5'") == true)
    #expect(
      QuantizationRecipe.problem(in: "w5a16:kv=4")?.hasPrefix("there is no recipe 'w5a16:kv=4'")
        == true)
    #expect(QuantizationRecipe.problem(in: "") != nil && QuantizationRecipe.problem(in: ":") != nil)
  }

  @Test func embeddingTablesMayHaveFourBits() throws {
    let recipe = try #require(QuantizationRecipe(name: "w8a8:embeddings=4,values=4"))
    #expect(recipe.embeddings == .int4 && recipe.caches.bits == (8, 4))
    #expect(try recipe.with(bitsPerWeight: 4).name == "b4.00a8:embeddings=4,values=4")
    #expect(QuantizationRecipe(name: "w8a8:embeddings=3") == nil)
    let open = try #require(QuantizationRecipe(name: "b4a16:embeddings=auto"))
    #expect(open.isOpen && !open.caches.isOpen)
    #expect(try open.with(bitsPerWeight: 4).isOpen)
  }

  @Test func openCachesHaveToBeDecided() throws {
    let recipe = try #require(QuantizationRecipe(name: "w8a16:kv=auto"))
    #expect(recipe.caches.isOpen)
    #expect(try recipe.with(bitsPerWeight: 4).caches.isOpen)
    let error = #expect(throws: DiagnosticError.self) {
      try Quantizer.quantize(
        RandomLlama().graph(), recipe: recipe, calibrationTokens: [[1, 2, 3, 4]])
    }
    #expect(error?.diagnostics.first?.code == "quantize.recipe")
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
