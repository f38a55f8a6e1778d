import Foundation
import Support

/// Generated models of architectures near Llama, in the files their users have: layer norms, biases, feed-forward
/// parts without a gate, heads that rotate in part.
public struct LlamaRelative: Sendable {
  /// The architectures, by the names both formats have for them.
  public enum Family: String, Sendable, CaseIterable {
    case starcoder2
    case stablelm
    case olmo
  }

  public static let dim = 64
  public static let heads = 4
  public static let kvHeads = 2
  public static let headDim = 16
  public static let hidden = 96
  public static let layers = 2
  public static let vocabulary = 80
  public static let context = 32

  /// The architecture.
  public var family: Family
  /// Whether linear layers have the biases that the architecture may have.
  public var isBiased: Bool
  /// Whether the head shares the embedding's table.
  public var isTied: Bool
  /// Channels of a head that rotate.
  public var ropeDim: Int
  /// Tensors by Hugging Face's name, with extents outermost first.
  public var tensors: [(name: String, shape: [Int], values: [Float])] = []

  /// A model with random weights.
  public init(_ family: Family, isBiased: Bool = true, isTied: Bool? = nil, seed: UInt64 = 11) {
    self.family = family
    self.isBiased = isBiased
    self.isTied = isTied ?? (family == .starcoder2)
    ropeDim = family == .stablelm ? Self.headDim / 4 : Self.headDim
    var random = SplitMix64(seed: seed)
    let (d, h) = (Self.dim, Self.hidden)
    let kv = Self.kvHeads * Self.headDim
    func add(_ name: String, _ shape: [Int], _ make: (inout SplitMix64) -> Double) {
      let count = shape.reduce(1, *)
      tensors.append((name, shape, (0..<count).map { _ in Float(make(&random)) }))
    }
    func linear(_ name: String, _ outputs: Int, _ inputs: Int, biased: Bool) {
      let deviation = 1 / Double(inputs).squareRoot()
      // Columns have a mean, so that a stream has one.
      add(name + ".weight", [outputs, inputs]) { ($0.normal() + 0.3) * deviation }
      if biased { add(name + ".bias", [outputs]) { 0.2 + 0.3 * $0.normal() } }
    }
    func norm(_ name: String) {
      guard family != .olmo else { return }
      add(name + ".weight", [d]) { 1 + 0.3 * $0.normal() }
      add(name + ".bias", [d]) { 0.2 * $0.normal() }
    }
    add("model.embed_tokens.weight", [Self.vocabulary, d]) { 0.5 + $0.normal() }
    let isFull = isBiased && family == .starcoder2
    let isProjected = isFull || isBiased && family == .stablelm
    for layer in 0..<Self.layers {
      let block = "model.layers.\(layer)"
      norm("\(block).input_layernorm")
      linear("\(block).self_attn.q_proj", d, d, biased: isProjected)
      linear("\(block).self_attn.k_proj", kv, d, biased: isProjected)
      linear("\(block).self_attn.v_proj", kv, d, biased: isProjected)
      linear("\(block).self_attn.o_proj", d, d, biased: isFull)
      norm("\(block).post_attention_layernorm")
      if family == .starcoder2 {
        linear("\(block).mlp.c_fc", h, d, biased: isFull)
        linear("\(block).mlp.c_proj", d, h, biased: isFull)
      } else {
        linear("\(block).mlp.gate_proj", h, d, biased: false)
        linear("\(block).mlp.up_proj", h, d, biased: false)
        linear("\(block).mlp.down_proj", d, h, biased: false)
      }
    }
    norm("model.norm")
    if !self.isTied { linear("lm_head", Self.vocabulary, d, biased: false) }
  }

  /// What `config.json` says.
  public var configuration: [String: Any] {
    var config: [String: Any] = [
      "model_type": family.rawValue, "hidden_size": Self.dim, "num_hidden_layers": Self.layers,
      "num_attention_heads": Self.heads, "num_key_value_heads": Self.kvHeads,
      "intermediate_size": Self.hidden, "vocab_size": Self.vocabulary,
      "max_position_embeddings": Self.context, "tie_word_embeddings": isTied, "rope_theta": 10000.0,
    ]
    switch family {
    case .starcoder2:
      config["norm_epsilon"] = 1e-5
      config["use_bias"] = isBiased
      config["hidden_act"] = "gelu_pytorch_tanh"
    case .stablelm:
      config["layer_norm_eps"] = 1e-5
      config["use_qkv_bias"] = isBiased
      config["partial_rotary_factor"] = Double(ropeDim) / Double(Self.headDim)
      config["hidden_act"] = "silu"
      config["use_parallel_residual"] = false
      config["qk_layernorm"] = false
    case .olmo:
      config["hidden_act"] = "silu"
      config["clip_qkv"] = NSNull()
    }
    return config
  }

  /// Writes the files of a Hugging Face model into a folder; `change` sees `config.json` before.
  public func write(
    to folder: URL, change: (inout [String: Any]) -> Void = { _ in }
  ) throws {
    var writer = SafetensorsWriter()
    for tensor in tensors {
      writer.add(tensor.name, "F32", tensor.shape, GGUFWriter.floats(tensor.values))
    }
    try Data(writer.file).write(to: folder.appendingPathComponent("model.safetensors"))
    var config = configuration
    change(&config)
    try JSONSerialization.data(withJSONObject: config)
      .write(to: folder.appendingPathComponent("config.json"))
  }

  /// The same model as llama.cpp's converter writes it.
  public var gguf: GGUFWriter {
    var writer = GGUFWriter()
    writer.add("general.architecture", family.rawValue)
    let numbers: [(String, Int)] = [
      ("block_count", Self.layers), ("context_length", Self.context),
      ("embedding_length", Self.dim), ("feed_forward_length", Self.hidden),
      ("attention.head_count", Self.heads), ("attention.head_count_kv", Self.kvHeads),
      ("rope.dimension_count", ropeDim),
    ]
    for (key, value) in numbers { writer.add("\(family.rawValue).\(key)", UInt32(value)) }
    writer.add("\(family.rawValue).attention.layer_norm_epsilon", Float(1e-5))
    writer.add("\(family.rawValue).rope.freq_base", Float(10000))
    for (name, shape, values) in tensors {
      let isRotary = name.contains("q_proj") || name.contains("k_proj")
      let numbers = family == .olmo && isRotary ? neighbours(values, rows: shape[0]) : values
      writer.tensors.append(
        .init(
          Self.ggufName(name), shape.reversed().map(UInt64.init), type: 0,
          bytes: GGUFWriter.floats(numbers)))
    }
    return writer
  }

  /// Rows by halves of a head's rotating channels, brought to neighbours.
  private func neighbours(_ values: [Float], rows: Int) -> [Float] {
    let width = values.count / rows
    let half = ropeDim / 2
    return (0..<rows).flatMap { row -> ArraySlice<Float> in
      let channel = row % Self.headDim
      let from = channel < ropeDim ? row - channel + channel / 2 + channel % 2 * half : row
      return values[from * width..<(from + 1) * width]
    }
  }

  private static func ggufName(_ name: String) -> String {
    let parts = name.split(separator: ".").map(String.init)
    let kind = parts[parts.count - 1]
    let names: [String: String] = [
      "embed_tokens": "token_embd", "lm_head": "output", "norm": "output_norm",
      "input_layernorm": "attn_norm", "q_proj": "attn_q", "k_proj": "attn_k", "v_proj": "attn_v",
      "o_proj": "attn_output", "post_attention_layernorm": "ffn_norm", "c_fc": "ffn_up",
      "c_proj": "ffn_down", "gate_proj": "ffn_gate", "up_proj": "ffn_up", "down_proj": "ffn_down",
    ]
    let short = names[parts[parts.count - 2]] ?? ""
    return parts.count > 3 ? "blk.\(parts[2]).\(short).\(kind)" : "\(short).\(kind)"
  }
}

extension LlamaRelative: CustomStringConvertible {
  /// The architecture and what varies; weights would fill a test's log.
  public var description: String {
    "\(family)\(isTied ? ", tied" : "")\(isBiased ? ", biases" : "")"
  }
}
