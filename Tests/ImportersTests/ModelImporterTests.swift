import Foundation
import GraphIR
import Importers
import Support
import TensorCore
import TestKit
import Testing

@Suite struct ModelImporterTests {
  static func code(
    _ path: String, _ options: ImportOptions = ImportOptions()
  ) -> String? {
    do throws(DiagnosticError) {
      _ = try ModelImporter.load(path, options)
      return nil
    } catch { return error.diagnostics[0].code }
  }

  /// The code of the error that importing a changed model throws.
  static func code(_ change: (inout TinyModel) -> Void) throws -> String? {
    let folder = try ScratchFolder()
    var model = TinyModel()
    change(&model)
    return code(try folder.write(model.gguf.file, "m.gguf"))
  }

  @Test func graphsOfEveryKindVerify() throws {
    let folder = try ScratchFolder()
    let model = try ModelImporter.load(
      try folder.write(TinyModel().gguf.file, "any.name"),
      ImportOptions(prefillTokens: 4, scoreTokens: 100))
    try Verifier.verify(model.graph)
    #expect(model.format == .gguf)
    #expect(model.tokenizer == nil)
    #expect(model.configuration.context == TinyModel.context)
    let prefill = try #require(model.graph.function("prefill"))
    #expect(prefill.values[0].type.shape == [4])
    #expect(prefill.operations.last?.code == .kvWrite)
    #expect(prefill.operations.filter { $0.code == .attention }.count == TinyModel.layers - 1)
    let score = try #require(model.graph.function("score"))
    #expect(score[score.results[0]].type.shape == [TinyModel.context, TinyModel.vocabulary])
    let text = GraphPrinter.print(model.graph)
    #expect(try GraphPrinter.print(GraphParser.parse(text)) == text)
  }

  @Test(arguments: [1, 3]) func safetensorsGiveTheSameGraph(_ shards: Int) throws {
    let folder = try ScratchFolder()
    let model = TinyModel()
    try model.writeHuggingFace(to: folder.url, shards: shards)
    let a = try ModelImporter.load(try folder.write(model.gguf.file, "m.gguf"))
    let b = try ModelImporter.load(folder.url.path)
    #expect(b.format == .safetensors)
    #expect(a.configuration == b.configuration)
    try expectSame(a.graph, b.graph)
    let file = shards == 1 ? "model.safetensors" : "model.safetensors.index.json"
    let c = try ModelImporter.load(folder.url.appendingPathComponent(file).path)
    try expectSame(a.graph, c.graph)
  }

  @Test func safetensorsConfigurationIsChecked() throws {
    func code(_ change: (inout [String: Any]) -> Void) throws -> String? {
      let folder = try ScratchFolder()
      try TinyModel().writeHuggingFace(to: folder.url, shards: 1, change: change)
      return Self.code(folder.url.path)
    }
    #expect(try code { _ in } == nil)
    #expect(try code { $0["model_type"] = "gpt2" } == "import.architecture")
    #expect(try code { $0["hidden_size"] = nil } == "import.missing-key")
    #expect(try code { $0["hidden_size"] = 16 } == "import.tensor-shape")
    #expect(try code { $0["num_hidden_layers"] = 3 } == "import.missing-tensor")
    #expect(try code { $0["num_hidden_layers"] = 1 << 40 } == "import.configuration")
    #expect(try code { $0["num_attention_heads"] = 0 } == "import.configuration")
    #expect(try code { $0["hidden_act"] = "relu" } == "import.configuration")
    #expect(try code { $0["mlp_bias"] = true } == "import.missing-tensor")
    #expect(try code { $0["sliding_window"] = 0 } == "import.configuration")
    #expect(try code { $0["rope_scaling"] = ["rope_type": "yarn"] } == "import.rope")
    #expect(
      try code { $0["rope_scaling"] = ["rope_type": "linear", "factor": 2.0] } == nil)
    let folder = try ScratchFolder()
    try TinyModel().writeHuggingFace(to: folder.url, shards: 1)
    try FileManager.default.removeItem(at: folder.url.appendingPathComponent("config.json"))
    #expect(Self.code(folder.url.path) == "import.missing-config")
  }

  @Test func missingAndMisshapenTensorsAreAllNamed() throws {
    let folder = try ScratchFolder()
    var model = TinyModel()
    model.tensors.removeAll { $0.name.contains("ffn_up") }
    model.tensors[model.index("output_norm.weight")].shape = [2, 4]
    let path = try folder.write(model.gguf.file, "m.gguf")
    let error = #expect(throws: DiagnosticError.self) { try ModelImporter.load(path) }
    let text = error?.description ?? ""
    #expect(text.contains("blk.0.ffn_up.weight"))
    #expect(text.contains("blk.1.ffn_up.weight"))
    #expect(text.contains("output_norm.weight is 2x4; the model's header implies 32"))
  }

  @Test(arguments: [Float.nan, .infinity, -.infinity])
  func nonFiniteWeightsAreRefused(_ value: Float) throws {
    let code = try Self.code { $0.tensors[$0.index("blk.1.ffn_down.weight")].values[17] = value }
    #expect(code == "import.non-finite")
  }

  @Test func nonFiniteScalesAreRefused() throws {
    let folder = try ScratchFolder()
    var writer = TinyModel().gguf
    // The embedding as ten blocks of q8_0, each a scale of 1 and 32 integers.
    let block: [UInt8] = [0x00, 0x3C] + [UInt8](repeating: 3, count: 32)
    writer.tensors[0].type = 8
    writer.tensors[0].bytes = (0..<10).flatMap { _ in block }
    let sound = try ModelImporter.load(try folder.write(writer.file, "m.gguf"))
    #expect(sound.weightTypes["q8_0"] == 320)
    writer.tensors[0].bytes[34 * 7 + 1] = 0x7C
    let path = try folder.write(writer.file, "m.gguf")
    let error = #expect(throws: DiagnosticError.self) { try ModelImporter.load(path) }
    #expect(error?.diagnostics.first?.code == "import.non-finite")
    #expect(error?.description.contains("token_embd.weight") == true)
    #expect(error?.description.contains("element 224") == true)
  }

  @Test func otherRefusals() throws {
    #expect(try Self.code { $0.architecture = "mamba" } == "import.architecture")
    #expect(try Self.code { _ in } == nil)
    let folder = try ScratchFolder()
    let path = try folder.write(TinyModel().gguf.file, "m.gguf")
    #expect(Self.code(path, ImportOptions(context: 7)) == "import.context")
    #expect(Self.code(path, ImportOptions(context: 0)) == "import.context")
    #expect(Self.code(path, ImportOptions(context: 5)) == nil)
    #expect(Self.code(path + "x") == "file.open")
    #expect(Self.code(folder.url.path) == "import.unrecognised")
    #expect(Self.code(try folder.write([], "empty")) == "import.unrecognised")
    #expect(Self.code(try folder.write(Array("hello".utf8), "text")) == "import.unrecognised")
    #expect(Self.code(try folder.write(Array("{\"a\": 1}".utf8), "j")) == "import.unrecognised")
  }

  @Test func tokenizersAreHeldToTheVocabulary() throws {
    let folder = try ScratchFolder()
    var writer = TinyModel().gguf
    func add(_ count: Int, _ writer: inout GGUFWriter) {
      writer.add("tokenizer.ggml.model", "llama")
      writer.add("tokenizer.ggml.tokens", (0..<count).map { "t\($0)" })
      writer.add("tokenizer.ggml.scores", (0..<count).map { -Float($0) })
    }
    add(10, &writer)
    let good = try folder.write(writer.file, "good.gguf")
    #expect(try ModelImporter.load(good).tokenizer?.count == 10)
    writer = TinyModel().gguf
    add(11, &writer)
    let bad = try folder.write(writer.file, "bad.gguf")
    #expect(Self.code(bad) == "import.vocabulary-mismatch")
    // The option wins over what is inside.
    #expect(Self.code(bad, ImportOptions(tokenizer: good)) == nil)
    #expect(Self.code(good, ImportOptions(tokenizer: bad)) == "import.vocabulary-mismatch")
    #expect(Self.code(good, ImportOptions(tokenizer: folder.url.path + "/no")) == "file.open")
  }

  /// A damaged file gives a model or a diagnosis.
  @Test func damageIsDiagnosed() throws {
    let folder = try ScratchFolder()
    let sound = TinyModel().gguf.file
    let header = TinyModel().gguf.header.count
    var rng = SplitMix64(seed: 5)
    for _ in 0..<1500 {
      var bytes = sound
      for _ in 0..<Int.random(in: 1...4, using: &rng) {
        bytes[Int.random(in: 0..<header, using: &rng)] = UInt8.random(in: 0...255, using: &rng)
      }
      _ = Self.code(try folder.write(bytes, "m.gguf"))
    }
  }
}
