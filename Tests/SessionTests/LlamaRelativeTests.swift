import Foundation
import GraphIR
import Importers
import Passes
import Quantize
import Reference
import Support
import TestKit
import Testing

@testable import Session

/// Models near Llama, from their files to the NPU: layer norms, GELU, biases, heads that rotate in part.
@Suite struct LlamaRelativeTests {
  /// A model in a format.
  struct Case: Sendable, CustomTestStringConvertible {
    var model: LlamaRelative
    var isGGUF: Bool
    var testDescription: String { "\(model), \(isGGUF ? "GGUF" : "safetensors")" }
  }

  static let cases: [Case] = [
    Case(model: LlamaRelative(.starcoder2), isGGUF: false),
    Case(model: LlamaRelative(.starcoder2, isBiased: false, isTied: false), isGGUF: true),
    Case(model: LlamaRelative(.stablelm), isGGUF: true),
    Case(model: LlamaRelative(.stablelm, isBiased: false, isTied: true), isGGUF: false),
    Case(model: LlamaRelative(.olmo, isTied: true), isGGUF: false),
  ]

  static let tokens: [Int32] = {
    var random = SplitMix64(seed: 31)
    return (0..<20).map { _ in Int32(random.next() % UInt64(LlamaRelative.vocabulary)) }
  }()

  /// Imports a model from the files of its format.
  static func graph(
    _ model: LlamaRelative, isGGUF: Bool, change: (inout [String: Any]) -> Void = { _ in }
  ) throws -> Graph {
    let folder = try RelativeFolder()
    let path = isGGUF ? folder.url.appendingPathComponent("model.gguf") : folder.url
    if isGGUF {
      try Data(model.gguf.file).write(to: path)
    } else {
      try model.write(to: folder.url, change: change)
    }
    let graph = try ModelImporter.load(
      path.path, ImportOptions(prefillTokens: 8, scoreTokens: 20)
    ).graph
    try Verifier.verify(graph)
    return graph
  }

  static func logits(_ graph: Graph) throws -> [Float] {
    let interpreter = try FloatInterpreter(graph)
    var state = interpreter.makeState()
    return try interpreter.run("score", ids: tokens, position: 0, state: &state)
  }

  /// The shape that tells `CompiledModel` how large caches are.
  static var shape: RandomLlama {
    var shape = RandomLlama()
    (shape.dim, shape.heads, shape.kvHeads) = (
      LlamaRelative.dim, LlamaRelative.heads, LlamaRelative.kvHeads
    )
    (shape.vocabulary, shape.context) = (LlamaRelative.vocabulary, LlamaRelative.context)
    return shape
  }

  @Test(arguments: cases, ["alif-e7-hp", "alif-e8"])
  func decodesToTheBit(_ test: Case, _ target: String) throws {
    let graph = try Self.graph(test.model, isGGUF: test.isGGUF).canonicalised().graph
    let model = try CompiledModel(Self.shape, graph: graph, recipe: .w8a16, target: target)
    #expect(model.program.manifest.report.cpuOps == 0)
    try model.compareDecode(Array(Self.tokens.prefix(5)))
  }

  @Test(arguments: cases.prefix(3), ["alif-e7-hp", "corstone-320"])
  func promptsToTheBit(_ test: Case, _ target: String) throws {
    let graph = try Self.graph(test.model, isGGUF: test.isGGUF).canonicalised().graph
    let model = try CompiledModel(
      Self.shape, graph: graph, recipe: target == "alif-e7-hp" ? .w8a16 : .w8a8, target: target)
    try model.comparePrompts([9, 3])
  }

  /// The integer graph predicts what the model predicts.
  @Test(arguments: cases) func predictsTheSame(_ test: Case) throws {
    let imported = try Self.graph(test.model, isGGUF: test.isGGUF)
    let graph = try imported.canonicalised().graph
    var random = SplitMix64(seed: 99)
    let text = (0..<8).map { _ in
      (0..<LlamaRelative.context).map { _ in
        Int32(random.next() % UInt64(LlamaRelative.vocabulary))
      }
    }
    for (recipe, limit) in [(QuantizationRecipe.w8a16, 0.01), (.w8a8, 0.03)] {
      let integer = try Quantizer.quantize(graph, recipe: recipe, calibrationTokens: text)
      // The graph as imported: with layer norms.
      var reference = try FloatLogitModel(imported)
      var judged = try IntegerLogitModel(integer)
      let result = try Evaluation.compare(
        reference: &reference, model: &judged, Array(text.prefix(2)))
      #expect(result.meanDivergence < limit, "\(recipe.name)")
    }
  }

  /// The float graph, before and after the passes, computes what the papers say.
  @Test(
    .enabled(if: Oracle.has("numpy")),
    arguments: cases.filter { !$0.isGGUF }.map(\.model), [nil, "gelu", "silu"] as [String?])
  func floatsAgreeWithTheDefinition(_ model: LlamaRelative, _ activation: String?) throws {
    func change(_ config: inout [String: Any]) {
      if let activation { config["hidden_act"] = activation }
    }
    let folder = try RelativeFolder()
    try model.write(to: folder.url, change: change)
    let text = try Oracle.run(
      "relative_logits.py", [folder.url.path] + Self.tokens.map(String.init))
    let rows = try JSONDecoder().decode([[Double]].self, from: Data(text.utf8))
    let wanted = rows.flatMap { $0 }
    let graph = try Self.graph(model, isGGUF: false, change: change)
    for graph in [graph, try graph.canonicalised().graph] {
      let found = try Self.logits(graph)
      #expect(found.count == wanted.count)
      let distance = zip(found, wanted).map { abs(Double($0) - $1) }.max() ?? .infinity
      #expect(distance < 1e-4)
    }
  }

  /// What has no RMS norm to take its place is named.
  @Test func aLeftLayerNormIsNamed() throws {
    var graph = try Self.graph(LlamaRelative(.starcoder2), isGGUF: false)
    for index in graph.functions.indices where graph.functions[index].name != "prefill" {
      var function = graph.functions[index]
      let norm = try #require(function.operations.last { $0.code == .layerNorm }?.results.first)
      function.results = [
        function.append(
          .silu, [.value(norm)], type: function[norm].type, provenance: Provenance("odd"))
      ]
      graph.functions[index] = function
    }
    let canonical = try graph.canonicalised().graph
    do {
      _ = try Quantizer.quantize(
        canonical, recipe: .w8a16, calibrationTokens: [Array(Self.tokens)])
      Issue.record("a layer norm was quantised")
    } catch {
      #expect(error.diagnostics[0].code == "quantize.unsupported")
      #expect(error.description.contains("layer_norm"))
      #expect(error.description.contains("model.norm.weight"))
    }
  }
}

/// A folder that is gone after the test.
private final class RelativeFolder {
  let url = FileManager.default.temporaryDirectory.appendingPathComponent(
    "swiftlet-relative-\(UUID().uuidString)")

  init() throws {
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(at: url) }
}
