import Containers
import GraphIR
import Support
import TensorCore

/// Reads the Llama architecture out of Hugging Face safetensors and their `config.json`, whose query
/// and key rows are for half-split rotary pairs.
struct LlamaFromHuggingFace {
  let tensors: SafetensorsSet
  let config: JSONValue
  /// The name of `config.json`.
  let configFile: String
  /// The name of the model, for diagnostics.
  let file: String

  /// Throws `DiagnosticError` with codes `import.*`.
  func parts() throws(DiagnosticError) -> LlamaParts {
    let architecture = config["model_type"]?.string ?? ""
    guard architecture == "llama" || architecture == "mistral" else {
      throw DiagnosticError(
        "import.architecture",
        "model_type \"\(architecture)\" is not supported", at: location("model_type"),
        wayOut: "use a model of the Llama family (model_type llama or mistral)")
    }
    let configuration = try configuration()
    var lookup = TensorLookup(file: file, find: tensors.tensor)
    let weights = takeWeights(configuration, &lookup)
    try lookup.finish()
    return LlamaParts(
      architecture: architecture, name: nil, configuration: configuration, weights: weights)
  }

  private func location(_ key: String) -> SourceLocation {
    SourceLocation(file: configFile, element: key)
  }

  private func integer(_ key: String) throws(DiagnosticError) -> Int {
    guard let value = config[key]?.int else {
      throw DiagnosticError(
        "import.missing-key", "\(key) is missing or not an integer", at: location(key))
    }
    return value
  }

  private func configuration() throws(DiagnosticError) -> LlamaConfiguration {
    if let activation = config["hidden_act"]?.string, activation != "silu" {
      throw DiagnosticError(
        "import.configuration", "activation \(activation) is not supported",
        at: location("hidden_act"))
    }
    if config["mlp_bias"]?.bool == true {
      throw DiagnosticError(
        "import.configuration", "biases in the feed-forward part are not supported",
        at: location("mlp_bias"))
    }
    let dim = try integer("hidden_size")
    let heads = try integer("num_attention_heads")
    let context = try integer("max_position_embeddings")
    if let window = config["sliding_window"]?.int, window < context {
      throw DiagnosticError(
        "import.configuration", "sliding-window attention is not supported",
        at: location("sliding_window"))
    }
    // Newer files keep the rotary numbers in an object of their own.
    let rope = config["rope_parameters"] ?? config["rope_scaling"]
    var configuration = LlamaConfiguration(
      dim: dim, layers: try integer("num_hidden_layers"), heads: heads,
      kvHeads: config["num_key_value_heads"]?.int ?? heads,
      headDim: config["head_dim"]?.int ?? (heads > 0 ? dim / heads : 0),
      hidden: try integer("intermediate_size"), vocabulary: try integer("vocab_size"),
      modelContext: context,
      ropeBase: rope?["rope_theta"]?.double ?? config["rope_theta"]?.double ?? 10000,
      normEps: config["rms_norm_eps"]?.double ?? 1e-6,
      tied: config["tie_word_embeddings"]?.bool ?? false)
    configuration.ropeScaling = try ropeScaling(rope)
    try configuration.requirePlausible(file: configFile)
    return configuration
  }

  private func ropeScaling(_ rope: JSONValue?) throws(DiagnosticError) -> RopeScaling {
    guard let rope, let type = (rope["rope_type"] ?? rope["type"])?.string, type != "default"
    else { return .none }
    let factor = rope["factor"]?.double ?? 0
    if type == "linear", factor.isFinite, factor > 0 { return .linear(factor: factor) }
    if type == "llama3", factor.isFinite, factor > 0, let low = rope["low_freq_factor"]?.double,
      let high = rope["high_freq_factor"]?.double, low > 0, high > low,
      let original = rope["original_max_position_embeddings"]?.double, original > 0
    {
      return .llama3(factor: factor, low: low, high: high, originalContext: original)
    }
    throw DiagnosticError(
      "import.rope", "rotary scaling of type \(type) is not supported or incomplete",
      at: location("rope_scaling"), wayOut: "use a model with no, linear or llama3 scaling")
  }

  private func takeWeights(
    _ c: LlamaConfiguration, _ lookup: inout TensorLookup
  ) -> LlamaWeights {
    let q = c.heads * c.headDim
    let kv = c.kvHeads * c.headDim
    func rotary(_ constant: Constant) -> Constant {
      RotaryRows.interleave(constant, headDim: c.headDim)
    }
    let embedding = lookup.take("model.embed_tokens.weight", [c.vocabulary, c.dim])
    var layers: [LlamaWeights.Layer] = []
    for index in 0..<c.layers {
      let block = "model.layers.\(index)"
      let attention = "\(block).self_attn"
      layers.append(
        LlamaWeights.Layer(
          name: block,
          attentionNorm: lookup.take("\(block).input_layernorm.weight", [c.dim]),
          query: rotary(lookup.take("\(attention).q_proj.weight", [q, c.dim])),
          key: rotary(lookup.take("\(attention).k_proj.weight", [kv, c.dim])),
          value: lookup.take("\(attention).v_proj.weight", [kv, c.dim]),
          output: lookup.take("\(attention).o_proj.weight", [c.dim, q]),
          queryBias: lookup.takeIfPresent("\(attention).q_proj.bias", [q]).map(rotary),
          keyBias: lookup.takeIfPresent("\(attention).k_proj.bias", [kv]).map(rotary),
          valueBias: lookup.takeIfPresent("\(attention).v_proj.bias", [kv]),
          outputBias: lookup.takeIfPresent("\(attention).o_proj.bias", [c.dim]),
          feedForwardNorm: lookup.take("\(block).post_attention_layernorm.weight", [c.dim]),
          gate: lookup.take("\(block).mlp.gate_proj.weight", [c.hidden, c.dim]),
          up: lookup.take("\(block).mlp.up_proj.weight", [c.hidden, c.dim]),
          down: lookup.take("\(block).mlp.down_proj.weight", [c.dim, c.hidden])))
      // Missing tensors of one block are missing from all; one block's worth says enough.
      if lookup.problems.count > 64 { break }
    }
    return LlamaWeights(
      embedding: embedding, layers: layers,
      finalNorm: lookup.take("model.norm.weight", [c.dim]),
      head: c.tied ? nil : lookup.take("lm_head.weight", [c.vocabulary, c.dim]))
  }
}
