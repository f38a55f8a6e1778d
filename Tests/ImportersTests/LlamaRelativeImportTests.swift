import Foundation
import GraphIR
import Importers
import Support
import TestKit
import Testing

/// Architectures near Llama in both formats, and what of them is refused.
@Suite struct LlamaRelativeImportTests {
  static func load(_ writer: GGUFWriter) throws -> ImportedModel {
    let folder = try ScratchFolder()
    return try ModelImporter.load(try folder.write(writer.file, "m.gguf"))
  }

  static func load(
    _ model: LlamaRelative, change: (inout [String: Any]) -> Void = { _ in }
  ) throws -> ImportedModel {
    let folder = try ScratchFolder()
    try model.write(to: folder.url, change: change)
    return try ModelImporter.load(folder.url.path)
  }

  @Test(arguments: LlamaRelative.Family.allCases, [false, true])
  func bothFormatsGiveTheSameGraph(_ family: LlamaRelative.Family, _ isBiased: Bool) throws {
    let model = LlamaRelative(family, isBiased: isBiased)
    let a = try Self.load(model.gguf)
    let b = try Self.load(model)
    #expect(a.architecture == family.rawValue && b.architecture == family.rawValue)
    #expect(a.configuration == b.configuration)
    #expect(a.parameters == b.parameters)
    #expect(a.parameters == model.tensors.reduce(0) { $0 + $1.values.count })
    #expect(a.tensors == model.tensors.count)
    try expectSame(a.graph, b.graph)
    try Verifier.verify(a.graph)
    let text = GraphPrinter.print(a.graph)
    #expect(try GraphPrinter.print(GraphParser.parse(text)) == text)
    let decode = try #require(a.graph.function("decode"))
    func count(_ code: OpCode) -> Int { decode.operations.count { $0.code == code } }
    #expect(count(.layerNorm) == 2 * LlamaRelative.layers + 1 && count(.rmsNorm) == 0)
    #expect(count(.gelu) == (family == .starcoder2 ? LlamaRelative.layers : 0))
    #expect(count(.mul) == (family == .starcoder2 ? 0 : LlamaRelative.layers))
    let biases = decode.operations.count { $0.code == .linear && $0.operands.count == 3 }
    let perBlock = [.starcoder2: 6, .stablelm: 3][family, default: 0]
    #expect(biases == (isBiased ? perBlock * LlamaRelative.layers : 0))
  }

  @Test func activationsAreHonoured() throws {
    func activation(_ name: String?, _ family: LlamaRelative.Family) throws -> [String?] {
      let model = try Self.load(LlamaRelative(family)) { $0["hidden_act"] = name }
      let decode = try #require(model.graph.function("decode"))
      return decode.operations.filter { [.silu, .gelu].contains($0.code) }.map {
        $0.code == .silu ? "silu" : $0.int("exact") == 1 ? "gelu" : "tanh"
      }
    }
    #expect(try activation("gelu_pytorch_tanh", .starcoder2) == ["tanh", "tanh"])
    #expect(try activation(nil, .starcoder2) == ["tanh", "tanh"])
    #expect(try activation("gelu", .starcoder2) == ["gelu", "gelu"])
    #expect(try activation("gelu", .stablelm) == ["gelu", "gelu"])
    #expect(try activation(nil, .stablelm) == ["silu", "silu"])
  }

  /// The first diagnostic's code and the key or tensor it names.
  static func refusal(_ body: () throws -> ImportedModel) -> String? {
    do {
      _ = try body()
      return nil
    } catch {
      guard let first = (error as? DiagnosticError)?.diagnostics.first else { return "\(error)" }
      return "\(first.code) \(first.location?.element ?? "")"
    }
  }

  @Test func configurationsOfOtherModelsAreRefused() throws {
    func refusal(
      _ family: LlamaRelative.Family, _ change: (inout [String: Any]) -> Void
    ) -> String? {
      Self.refusal { try Self.load(LlamaRelative(family), change: change) }
    }
    #expect(refusal(.stablelm) { _ in } == nil)
    #expect(
      refusal(.stablelm) { $0["use_parallel_residual"] = true }
        == "import.configuration use_parallel_residual")
    #expect(
      refusal(.stablelm) { $0["qk_layernorm"] = true } == "import.configuration qk_layernorm")
    #expect(refusal(.olmo) { $0["clip_qkv"] = 8.0 } == "import.configuration clip_qkv")
    #expect(
      refusal(.starcoder2) { $0["hidden_act"] = "relu" } == "import.configuration hidden_act")
    #expect(
      refusal(.stablelm) { $0["partial_rotary_factor"] = 0.0 }
        == "import.rope partial_rotary_factor")
    #expect(
      refusal(.stablelm) { $0["partial_rotary_factor"] = 0.2 }?.hasPrefix("import.configuration")
        == true)
    // Without a model type the class tells.
    #expect(
      refusal(.starcoder2) {
        $0["model_type"] = nil
        $0["architectures"] = ["Starcoder2ForCausalLM"]
      } == nil)
    #expect(
      refusal(.starcoder2) {
        $0["model_type"] = nil
        $0["architectures"] = ["GPT2LMHeadModel"]
      } == "import.architecture model_type")
  }

  /// Biases that the configuration promises are not left out in silence.
  @Test func promisedBiasesMustBeThere() {
    for (family, key) in [
      (LlamaRelative.Family.starcoder2, "use_bias"), (.stablelm, "use_qkv_bias"),
    ] {
      let refusal = Self.refusal {
        try Self.load(LlamaRelative(family, isBiased: false)) { $0[key] = true }
      }
      #expect(
        refusal == "import.missing-tensor model.layers.0.self_attn.q_proj.bias", "\(family)")
    }
    #expect(
      Self.refusal {
        var model = LlamaRelative(.starcoder2)
        model.tensors.removeAll { $0.name == "model.norm.bias" }
        return try Self.load(model)
      } == "import.missing-tensor model.norm.bias")
  }

  @Test func ggufFilesOfOtherModelsAreRefused() {
    func refusal(
      _ family: LlamaRelative.Family, _ change: (inout GGUFWriter) -> Void
    ) -> String? {
      Self.refusal {
        var writer = LlamaRelative(family).gguf
        change(&writer)
        return try Self.load(writer)
      }
    }
    #expect(refusal(.olmo) { $0.add("olmo.attention.clamp_kqv", Float(0)) } == nil)
    #expect(
      refusal(.olmo) { $0.add("olmo.attention.clamp_kqv", Float(8)) }
        == "import.configuration olmo.attention.clamp_kqv")
    #expect(
      refusal(.stablelm) { writer in
        writer.tensors.append(
          .init(
            "blk.0.attn_q_norm.weight", [16, 4], type: 0,
            bytes: GGUFWriter.floats([Float](repeating: 1, count: 64))))
      } == "import.configuration blk.0.attn_q_norm.weight")
    #expect(
      refusal(.stablelm) { $0.tensors.removeAll { $0.name.contains("ffn_norm") } }
        == "import.configuration blk.0.ffn_norm.weight")
  }

  /// Sliding windows bound the context, within which they hide nothing.
  @Test func windowsBoundTheContext() throws {
    let model = LlamaRelative(.starcoder2)
    let windowed = try Self.load(model) { $0["sliding_window"] = 20 }
    #expect(windowed.configuration.modelContext == 20)
    #expect(
      Self.refusal {
        let folder = try ScratchFolder()
        try model.write(to: folder.url) { $0["sliding_window"] = 20 }
        return try ModelImporter.load(folder.url.path, ImportOptions(context: 21))
      }?.hasPrefix("import.context") == true)
    var writer = model.gguf
    writer.add("starcoder2.attention.sliding_window", UInt32(20))
    #expect(try Self.load(writer).configuration.modelContext == 20)
  }

  /// A damaged file gives a model or a diagnosis.
  @Test(arguments: LlamaRelative.Family.allCases)
  func damageIsDiagnosed(_ family: LlamaRelative.Family) throws {
    let folder = try ScratchFolder()
    let writer = LlamaRelative(family).gguf
    let (sound, header) = (writer.file, writer.header.count)
    var random = SplitMix64(seed: 5)
    for _ in 0..<150 {
      var bytes = sound
      for _ in 0..<Int.random(in: 1...4, using: &random) {
        bytes[Int.random(in: 0..<header, using: &random)] = UInt8.random(
          in: 0...255, using: &random)
      }
      _ = Self.refusal { try ModelImporter.load(try folder.write(bytes, "m.gguf")) }
    }
  }
}
