import GraphIR
import Support
import TestKit
import Testing

@testable import Quantize

/// Channels that tower above the others go a way of their own.
@Suite struct OutlierTests {
  static func prepared(_ model: RandomLlama, _ name: String = "w8a16") throws -> Graph {
    try Quantizer.prepared(
      model.graph(), for: try #require(QuantizationRecipe(name: name)),
      watching: QuantizerStructureTests.sequences(model, count: 4))
  }

  /// Gated and plain layers, with biases and without: all functions compute what they did, in a layer of two channels
  /// beside the one they were in.
  @Test(arguments: [(true, false), (true, true), (false, false), (false, true)])
  func theModelStaysTheSame(_ isGated: Bool, _ isBiased: Bool) throws {
    let model = RandomLlama.massive(3000, gated: isGated, biased: isBiased)
    let graph = model.graph()
    let apart = try Self.prepared(model)
    try Verifier.verify(apart)
    for (old, new) in zip(graph.functions, apart.functions) {
      // Linear layers, the function between them and one more sum.
      #expect(new.operations.count == old.operations.count + (isGated ? 6 : 4))
      let narrow = try #require(
        new.operations.first { $0.provenance.source.hasPrefix("blk.0.ffn_up.weight/outliers") })
      #expect(new[try #require(narrow.results.first)].type.shape.dimensions.last == 2)
    }
    try RotationTests.expectSame(graph, apart, model)
  }

  /// What nothing towers in stays as it is, and so does everything where the recipe says so.
  @Test func othersAreLeftAlone() throws {
    let plain = RandomLlama.massive(8)
    #expect(try Self.prepared(plain).functions == plain.graph().functions)
    let massive = RandomLlama.massive(3000)
    #expect(try Self.prepared(massive, "w8a16:outliers=0").functions == massive.graph().functions)
  }

  /// A bias that another layer has, too, would change there: the layer stays as it is.
  @Test func sharedConstantsAreLeftAlone() throws {
    let model = RandomLlama.massive(3000, biased: true)
    var graph = model.graph()
    func bias(_ name: String) throws -> Operand {
      .constant(ConstantID(try #require(graph.constants.firstIndex { $0.name == name })))
    }
    let (first, second) = (try bias("blk.0.ffn_up.bias"), try bias("blk.1.ffn_up.bias"))
    for f in graph.functions.indices {
      for o in graph.functions[f].operations.indices {
        graph.functions[f].operations[o].operands = graph.functions[f].operations[o].operands.map {
          $0 == second ? first : $0
        }
      }
    }
    let apart = try Quantizer.prepared(
      graph, for: .w8a16, watching: QuantizerStructureTests.sequences(model, count: 4))
    #expect(apart.functions == graph.functions)
  }

  /// One step for channels three thousand times as large as the others leaves those nothing.
  @Test(arguments: [("w8a16", 0.05), ("w8a8", 0.05), ("b5a16:adapt=0", 0.6)])
  func outliersApartCostLess(_ name: String, _ share: Double) throws {
    let model = RandomLlama.massive(3000)
    let together = try RotationGainTests.divergence(
      model, name + (name.contains(":") ? "," : ":") + "outliers=0")
    let apart = try RotationGainTests.divergence(model, name)
    #expect(apart < share * together)
  }

  @Test func recipesSayWhetherOutliersGoApart() throws {
    #expect(QuantizationRecipe(name: "w8a16")?.separatesOutliers == true)
    let together = try #require(QuantizationRecipe(name: "w8a8:outliers=0,rotate=values"))
    #expect(!together.separatesOutliers && together.rotations == .values)
    let goal = try together.with(bitsPerWeight: 4)
    #expect(goal.name == "b4.00a8:rotate=values,outliers=0")
    #expect(!goal.separatesOutliers && goal.rotations == .values)
  }
}
