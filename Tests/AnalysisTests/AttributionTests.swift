import GraphIR
import Quantize
import Support
import TestKit
import Testing

@testable import Analysis

/// A random model, its study, and windows to measure on.
private func study(
  _ recipe: QuantizationRecipe, biased: Bool = false
) throws -> (QuantizationStudy, Graph, [[Int32]]) {
  var shape = RandomLlama()
  shape.biased = biased
  let graph = shape.graph()
  var random = SplitMix64(seed: 31)
  let windows = (0..<19).map { _ in (0..<32).map { _ in Int32(random.next() % 64) } }
  let calibration = try Quantizer.calibrate(graph, for: .w8a16, on: Array(windows.prefix(3)))
  return (
    try QuantizationStudy(graph, recipe: recipe, calibration: calibration), graph,
    Array(windows.suffix(16))
  )
}

/// With nothing rounded the rescaled graph is the original; with everything rounded it is the integer
/// graph but for its arithmetic.
@Test(arguments: [QuantizationRecipe.w8a16, .w8a8], [false, true])
func stagesAddUpToTheIntegerGraph(_ recipe: QuantizationRecipe, _ biased: Bool) throws {
  let (study, graph, windows) = try study(recipe, biased: biased)
  let attribution = try Attribution(study, of: graph, on: windows, workers: 2)
  #expect(attribution.tokens == 16 * 31)
  // Float rounding of the rescaling: far below what 8-bit weights cost.
  #expect(attribution.unrounded < attribution.total / 1000)
  // Norms, softmax and multipliers round finer than values do; a fifth leaves room for cancellation, since
  // whatever differs a little rounds other 8-bit values up. Fewer tokens than these would not average that.
  #expect(abs(attribution.arithmetic) < attribution.total / 5)
  for share in attribution.shares {
    #expect(share.alone >= 0)
    #expect(share.alone < attribution.total * 1.5, "\(share.stage)")
  }
  func share(_ stage: RoundingStage) throws -> Attribution.Share {
    try #require(attribution.shares.first { $0.stage == stage })
  }
  #expect(try share(.weights).alone > attribution.total / 100)
  let activations = try share(.activations)
  // 16-bit activations cost next to nothing, 8-bit ones are felt alone and missed when exact.
  if recipe.activations == .int16 {
    #expect(activations.alone < attribution.total / 50)
  } else {
    #expect(activations.alone > attribution.total / 10)
    #expect(activations.saved > attribution.total / 10)
  }
}

/// Stages of four bits are rounded by the study as by the integer graph, and are to blame for nearly all.
@Test(arguments: [
  ("values=4", RoundingStage.values), ("keys=4", .keys), ("embeddings=4", .embeddings),
])
func stagesOfFourBitsAddUp(_ option: String, _ stage: RoundingStage) throws {
  let recipe = try #require(QuantizationRecipe(name: "w8a16:\(option)"))
  let (study, graph, windows) = try study(recipe)
  let attribution = try Attribution(study, of: graph, on: windows, workers: 2)
  #expect(attribution.unrounded < attribution.total / 1000)
  #expect(abs(attribution.arithmetic) < attribution.total / 5)
  let share = try #require(attribution.shares.first { $0.stage == stage })
  #expect(share.alone > attribution.total / 2)
}

@Test func attributionDoesNotDependOnThreads() throws {
  let (study, graph, windows) = try study(.w8a8)
  let one = try Attribution(study, of: graph, on: windows, workers: 1)
  let two = try Attribution(study, of: graph, on: windows, workers: 2)
  #expect(one == two)
}

@Test func tensorTableHasWhatItShould() throws {
  let (study, _, windows) = try study(.w8a8)
  let tensors = try study.tensors(on: windows)
  let function = try #require(study.integer.function("score"))
  let linears = function.operations.filter { $0.code == .linear }
  let weights = tensors.filter { $0.kind == .weight }
  // The head is rounded apart from the embedding's table, whose numbers it shares.
  #expect(weights.map(\.name) == linears.map(\.provenance.source))
  #expect(tensors.count { $0.kind == .embedding } == 1)
  #expect(tensors.filter { $0.kind == .kvCache }.count == 4)
  for tensor in weights {
    // Normal weights in steps of the largest of 32 to 64 over 127: noise of step²/12 gives about 42 dB.
    #expect((36...50).contains(tensor.sqnr), "\(tensor.name): \(tensor.sqnr)")
    #expect(tensor.clippedShare < 0.05)
    #expect(tensor.accumulatedSQNR == nil)
  }
  for tensor in tensors where tensor.kind == .activation {
    let accumulated = try #require(tensor.accumulatedSQNR)
    // What came before adds to what this value's rounding costs.
    #expect(accumulated < tensor.sqnr + 3, "\(tensor.name)")
    #expect(accumulated > 5, "\(tensor.name)")
    #expect(tensor.largest > 0 && tensor.limit > 0)
  }
}

/// A few numbers that tower above the others do not hide what their step costs those.
@Test func theTypicalNumberHasARatioOfItsOwn() throws {
  let model = RandomLlama.massive(3000)
  let text = (0..<4).map { start in (0..<16).map { Int32((start * 17 + $0 * 5) % 64) } }
  let graph = model.graph()
  let study = try QuantizationStudy(
    graph, recipe: .w8a16, calibration: try Quantizer.calibrate(graph, for: .w8a16, on: text))
  let tensors = try study.tensors(on: text)
  for tensor in tensors where tensor.kind == .activation && tensor.sqnr.isFinite {
    if tensor.name == "blk.0.ffn_mul" {
      // Channels three thousand times the median leave it no step of its own.
      #expect(tensor.sqnr > 60 && tensor.typicalSQNR < 20)
    } else if tensor.name.hasPrefix("blk.1") {
      #expect((1...12).contains(tensor.sqnr - tensor.typicalSQNR), "\(tensor.name)")
    }
  }
  #expect(tensors.contains { $0.name == "blk.0.ffn_mul" && $0.kind == .activation })
}
