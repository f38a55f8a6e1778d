import Foundation
import GraphIR
import Importers
import Reference
import Support
import TensorCore
import TestKit
import Testing

@testable import Quantize

/// Rotations leave the model what it was and its channels alike.
@Suite struct RotationTests {
  static func apply(_ rotation: OrthogonalRotation, _ values: [Double]) -> [Double] {
    var values = values
    var scratch = values
    values.withUnsafeMutableBufferPointer { values in
      scratch.withUnsafeMutableBufferPointer { rotation.apply(values, scratch: $0) }
    }
    return values
  }

  /// Lengths and angles stay, and one channel spreads over all.
  @Test(arguments: [1, 2, 3, 8, 9, 48, 64, 80, 288, 576])
  func rotationsAreOrthogonal(_ width: Int) {
    let rotation = OrthogonalRotation(width: width)
    var random = SplitMix64(seed: UInt64(width))
    let x = (0..<width).map { _ in random.normal() }
    let y = (0..<width).map { _ in random.normal() }
    func dot(_ a: [Double], _ b: [Double]) -> Double { zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } }
    let (u, v) = (Self.apply(rotation, x), Self.apply(rotation, y))
    #expect(abs(dot(u, v) - dot(x, y)) < 1e-12 * Double(width))
    #expect(abs(dot(u, u) - dot(x, x)) < 1e-12 * Double(width))
    guard width > 1 else { return }
    var one = [Double](repeating: 0, count: width)
    one[width / 3] = 1
    let spread = Self.apply(rotation, one).map { abs($0) }.max() ?? 1
    #expect(spread * spread <= 2 / Double(width) * (width & (width - 1) == 0 ? 0.500_001 : 2))
  }

  /// A width with a large odd factor would take a table of its square.
  @Test func someWidthsAreNotRotated() {
    #expect([2, 48, 576, 1023, 4096].allSatisfy(OrthogonalRotation.suits))
    #expect(![1, 1031, 2062, 65_535].contains(where: OrthogonalRotation.suits))
  }

  static func logits(_ graph: Graph, _ ids: [Int32]) throws -> [Float] {
    var model = try FloatLogitModel(graph)
    var result: [Float] = []
    for start in stride(from: 0, to: ids.count, by: model.batch) {
      result += try model.logits(
        Array(ids[start..<min(start + model.batch, ids.count)]), at: start)
    }
    return result
  }

  /// Expects that two forms of a model give the same logits but for roundings.
  static func expectSame(_ graph: Graph, _ other: Graph, _ model: RandomLlama) throws {
    var random = SplitMix64(seed: 12)
    let ids = (0..<model.context).map { _ in Int32(random.next() % UInt64(model.vocabulary)) }
    let (a, b) = (try logits(graph, ids), try logits(other, ids))
    let size = a.reduce(0) { max($0, abs($1)) }
    #expect(a.count == b.count)
    #expect(zip(a, b).allSatisfy { abs($0 - $1) < 2e-5 * size })
  }

  /// Shapes: tied and not, with biases, grouped heads, widths that are no power of two.
  @Test(arguments: 0..<5)
  func theModelStaysTheSame(_ index: Int) throws {
    var model = RandomLlama()
    model.tied = index % 2 == 0
    model.biasedThroughout = index == 2
    model.gated = index != 3
    if index > 2 {
      (model.dim, model.heads, model.kvHeads, model.hidden) = (72, 6, 2, 40)
    }
    let graph = model.graph()
    let rotated = try ModelRotation(graph).rotated()
    try Verifier.verify(rotated)
    // Every norm lost its factors, every head's values are turned, and only the shared table is new.
    #expect(rotated.constants.count == graph.constants.count + (model.tied ? 1 : 0))
    let function = try #require(rotated.function("decode"))
    for operation in function.operations where operation.code == .rmsNorm {
      guard case .constant(let gamma) = operation.operands[1] else { continue }
      #expect(rotated[gamma].data?.floats(count: model.dim)?.allSatisfy { $0 == 1 } == true)
    }
    for (old, new) in zip(graph.constants, rotated.constants) where old.type.shape.rank == 2 {
      #expect(
        (old.data?.floats(count: old.type.shape.count)
          == new.data?.floats(count: new.type.shape.count)) == (old.name == "rope.table"))
    }
    try Self.expectSame(graph, rotated, model)
  }

  /// A stream that layer norms read stays; values are rotated all the same.
  @Test func layerNormsAreLeftAlone() throws {
    var model = RandomLlama()
    model.layerNorm = .full
    let graph = model.graph()
    let rotated = try ModelRotation(graph).rotated()
    func floats(_ graph: Graph, _ name: String) -> [Float]? {
      graph.constants.first { $0.name == name }.flatMap {
        $0.data?.floats(count: $0.type.shape.count)
      }
    }
    for name in ["token_embd.weight", "blk.0.attn_q.weight", "blk.0.attn_norm.weight"] {
      #expect(floats(graph, name) == floats(rotated, name))
    }
    #expect(floats(graph, "blk.0.attn_v.weight") != floats(rotated, "blk.0.attn_v.weight"))
    let ids = (0..<16).map { Int32($0) }
    let (a, b) = (try Self.logits(graph, ids), try Self.logits(rotated, ids))
    #expect(zip(a, b).allSatisfy { abs($0 - $1) < 1e-4 })
  }

  @Test func recipesAskForRotation() throws {
    #expect(QuantizationRecipe(name: "w8a8")?.rotations == [])
    #expect(QuantizationRecipe(name: "w8a8:rotate=values")?.rotations == .values)
    #expect(QuantizationRecipe(name: "w8a8:rotate=stream")?.rotations == .stream)
    let plain = try #require(QuantizationRecipe(name: "w8a8:rotate=1"))
    #expect(plain.rotations == .all && plain.weights == nil)
    let more = try #require(QuantizationRecipe(name: "w4a8:rotate=1,feedback=0"))
    #expect(more.rotations == .all && more.weights?.usesFeedback == false)
    #expect(QuantizationRecipe(name: "w4a8:rotate=2") == nil)
  }
}

/// Where rotations gain.
@Suite struct RotationGainTests {
  /// A model whose residual stream has a few channels far larger than the others, as those of large models have.
  static func outliers(_ size: Float) -> RandomLlama {
    var model = RandomLlama()
    (model.dim, model.hidden, model.heads, model.kvHeads, model.tied) = (64, 96, 4, 2, false)
    model.weights = { name, shape in
      guard name != "rope.table" else { return nil }
      var random = SplitMix64(seed: name.utf8.reduce(3) { $0 &* 31 &+ UInt64($1) })
      if shape.rank == 1 { return ConstantData(floats: (0..<shape.count).map { _ in 1 }) }
      let isTable = name.contains("embd")
      let writes = name.contains("attn_output") || name.contains("ffn_down")
      let deviation = isTable ? 1 : 1 / Float(shape[1]).squareRoot()
      return ConstantData(
        floats: (0..<shape.count).map { index in
          let (row, column) = (index / shape[1], index % shape[1])
          let channel = isTable ? column : writes ? row : 0
          let isLarge = (isTable || writes) && channel % 29 == 7
          return Float(random.normal()) * deviation * (isLarge ? size : 1)
        })
    }
    return model
  }

  static func divergence(_ model: RandomLlama, _ name: String) throws -> Double {
    let graph = model.graph()
    let recipe = try #require(QuantizationRecipe(name: name))
    let text = QuantizerStructureTests.sequences(model, count: 12)
    let integer = try Quantizer.quantize(
      graph, recipe: recipe, calibrationTokens: Array(text.prefix(8)))
    var reference = try FloatLogitModel(graph)
    var judged = try IntegerLogitModel(integer)
    return try Evaluation.compare(
      reference: &reference, model: &judged, Array(text.suffix(4))
    ).meanDivergence
  }

  /// A few channels larger than the others by a factor: 8-bit caches, and 8-bit activations, whose ranges moved into
  /// the weights as far as was good already.
  @Test(arguments: [("w8a16", 8, 0.8), ("w8a8", 30, 0.85)])
  func outliersCostLess(_ name: String, _ factor: Float, _ share: Double) throws {
    let model = Self.outliers(factor)
    let plain = try Self.divergence(model, name)
    let rotated = try Self.divergence(model, name + ":rotate=1")
    #expect(rotated < share * plain)
  }

  /// A token with one huge channel, as the first of a text has in some models, leaves the norms' 32 bits no room
  /// for the rows of others once it is spread.
  @Test func hugeTokensAreRefused() throws {
    var model = Self.outliers(1)
    let make = model.weights
    model.weights = { name, shape in
      guard let data = make?(name, shape), name.contains("embd"),
        var values = data.floats(count: shape.count)
      else { return make?(name, shape) }
      values[5] = 200_000
      return ConstantData(floats: values)
    }
    let small = model
    let error = #expect(throws: DiagnosticError.self) {
      try Self.divergence(small, "w8a16:rotate=1")
    }
    #expect(error?.diagnostics.first?.code == "quantize.rotation")
    #expect(try Self.divergence(model, "w8a16:rotate=values") < 0.01)
  }
}
