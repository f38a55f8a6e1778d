import Foundation
import Support
import TestKit

/// Small generated models in every format, all with the same numbers.
struct TinyModel {
  static let dim = 32
  static let heads = 2
  static let kvHeads = 1
  static let headDim = 16
  static let hidden = 32
  static let layers = 2
  static let vocabulary = 10
  static let context = 6

  /// Tensors by GGUF name, with extents outermost first; rows of query and key are interleaved.
  var tensors: [(name: String, shape: [Int], values: [Float])] = []
  /// Extra metadata, applied to the GGUF file after the usual entries.
  var architecture = "llama"

  init(seed: UInt64 = 3) {
    var rng = SplitMix64(seed: seed)
    let (d, kv, h) = (Self.dim, Self.kvHeads * Self.headDim, Self.hidden)
    var list: [(String, [Int])] = [("token_embd.weight", [Self.vocabulary, d])]
    for layer in 0..<Self.layers {
      let block = "blk.\(layer)"
      list += [
        ("\(block).attn_norm.weight", [d]), ("\(block).attn_q.weight", [d, d]),
        ("\(block).attn_k.weight", [kv, d]), ("\(block).attn_v.weight", [kv, d]),
        ("\(block).attn_output.weight", [d, d]), ("\(block).ffn_norm.weight", [d]),
        ("\(block).ffn_gate.weight", [h, d]), ("\(block).ffn_up.weight", [h, d]),
        ("\(block).ffn_down.weight", [d, h]),
      ]
    }
    list += [("output_norm.weight", [d]), ("output.weight", [Self.vocabulary, d])]
    tensors = list.map { name, shape in
      (name, shape, (0..<shape.reduce(1, *)).map { _ in Float(rng.normal()) })
    }
  }

  func index(_ name: String) -> Int { tensors.firstIndex { $0.name == name } ?? 0 }

  var gguf: GGUFWriter {
    var writer = GGUFWriter()
    writer.add("general.architecture", architecture)
    let numbers: [(String, Int)] = [
      ("block_count", Self.layers), ("context_length", Self.context),
      ("embedding_length", Self.dim), ("feed_forward_length", Self.hidden),
      ("attention.head_count", Self.heads), ("attention.head_count_kv", Self.kvHeads),
    ]
    for (key, value) in numbers { writer.add("llama.\(key)", UInt32(value)) }
    writer.add("llama.attention.layer_norm_rms_epsilon", Float(1e-5))
    for (name, shape, values) in tensors {
      writer.tensors.append(
        .init(
          name, shape.reversed().map(UInt64.init), type: 0, bytes: GGUFWriter.floats(values)))
    }
    return writer
  }

  /// The same model as Hugging Face would store it, the tensors dealt out to `shards` files.
  /// Writes the files of a model folder.
  func writeHuggingFace(
    to folder: URL, shards: Int, change: (inout [String: Any]) -> Void = { _ in }
  ) throws {
    var writers = [SafetensorsWriter](repeating: SafetensorsWriter(), count: shards)
    var map: [String: String] = [:]
    func file(_ shard: Int) -> String {
      shards == 1 ? "model.safetensors" : "model-\(shard + 1).safetensors"
    }
    for (index, tensor) in tensors.enumerated() {
      let name = Self.huggingFaceName(tensor.name)
      var values = tensor.values
      if name.contains("q_proj") || name.contains("k_proj") {
        values = Self.halfSplit(values, rows: tensor.shape[0])
      }
      writers[index % shards].add(name, "F32", tensor.shape, GGUFWriter.floats(values))
      map[name] = file(index % shards)
    }
    for (shard, writer) in writers.enumerated() {
      try Data(writer.file).write(to: folder.appendingPathComponent(file(shard)))
    }
    if shards > 1 {
      let index = try JSONSerialization.data(withJSONObject: ["weight_map": map])
      try index.write(to: folder.appendingPathComponent("model.safetensors.index.json"))
    }
    var config: [String: Any] = [
      "model_type": "llama", "hidden_size": Self.dim, "num_hidden_layers": Self.layers,
      "num_attention_heads": Self.heads, "num_key_value_heads": Self.kvHeads,
      "intermediate_size": Self.hidden, "vocab_size": Self.vocabulary,
      "max_position_embeddings": Self.context, "rms_norm_eps": 1e-5, "hidden_act": "silu",
      "tie_word_embeddings": false, "rope_theta": 10000.0,
    ]
    change(&config)
    try JSONSerialization.data(withJSONObject: config)
      .write(to: folder.appendingPathComponent("config.json"))
  }

  /// From interleaved to half-split rows: the opposite of what the importer does, written apart.
  static func halfSplit(
    _ values: [Float], rows: Int, headDim: Int = TinyModel.headDim
  ) -> [Float] {
    let width = values.count / rows
    var out: [Float] = []
    for head in 0..<rows / headDim {
      for part in 0..<2 {
        for pair in 0..<headDim / 2 {
          let row = head * headDim + pair * 2 + part
          out += values[row * width..<(row + 1) * width]
        }
      }
    }
    return out
  }

  static func huggingFaceName(_ name: String) -> String {
    let parts = name.split(separator: ".")
    switch parts[0] {
    case "token_embd": return "model.embed_tokens.weight"
    case "output_norm": return "model.norm.weight"
    case "output": return "lm_head.weight"
    default:
      let names: [Substring: String] = [
        "attn_norm": "input_layernorm", "attn_q": "self_attn.q_proj",
        "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
        "attn_output": "self_attn.o_proj", "ffn_norm": "post_attention_layernorm",
        "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
      ]
      return "model.layers.\(parts[1]).\(names[parts[2]] ?? "").weight"
    }
  }
}

/// A folder that is removed when the test ends.
final class ScratchFolder {
  let url: URL

  init() throws {
    url = FileManager.default.temporaryDirectory
      .appendingPathComponent("swiftlet-import-\(UInt64.random(in: 0 ... .max))")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(at: url) }

  /// Writes a file and returns its path.
  func write(_ bytes: [UInt8], _ name: String) throws -> String {
    let file = url.appendingPathComponent(name)
    try Data(bytes).write(to: file)
    return file.path
  }
}
