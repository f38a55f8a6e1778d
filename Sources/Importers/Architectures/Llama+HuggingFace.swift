import Containers
import GraphIR
import Support
import TensorCore

/// Reads the Llama architecture and its relatives out of Hugging Face safetensors and their `config.json`, whose
/// query and key rows are for half-split rotary pairs.
///
/// Keys, their defaults and tensor names: the configuration and model classes of the transformers library.
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
    let family = LlamaFamily(rawValue: architecture) ?? (architecture.isEmpty ? modelClass : nil)
    guard let family else {
      throw DiagnosticError(
        "import.architecture",
        "model_type \"\(architecture)\" is not supported", at: location("model_type"),
        wayOut: "use a model of the Llama family (model_type \(LlamaFamily.names))")
    }
    try requireKnownParts()
    let configuration = try configuration(family)
    var lookup = TensorLookup(file: file, find: tensors.tensor)
    let weights = takeWeights(family, configuration, &lookup)
    try lookup.finish()
    return LlamaParts(
      architecture: family.rawValue, name: nil, configuration: configuration, weights: weights)
  }

  /// The family by the first of `architectures`, for files without a `model_type`.
  private var modelClass: LlamaFamily? {
    config["architectures"]?.elements?.first?.string.flatMap(LlamaFamily.init(modelClass:))
  }

  /// Throws where a relative of Llama has parts that the graph does not.
  private func requireKnownParts() throws(DiagnosticError) {
    func refuse(_ message: String, _ key: String) -> DiagnosticError {
      DiagnosticError("import.configuration", message, at: location(key))
    }
    if config["use_parallel_residual"]?.bool == true {
      throw refuse(
        "blocks whose attention and feed-forward part are parallel are not supported",
        "use_parallel_residual")
    }
    if config["qk_layernorm"]?.bool == true {
      throw refuse("norms of queries and keys are not supported", "qk_layernorm")
    }
    if config["clip_qkv"]?.double != nil {
      throw refuse("clipping of queries, keys and values is not supported", "clip_qkv")
    }
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

  private func activation(
    _ family: LlamaFamily
  ) throws(DiagnosticError) -> LlamaConfiguration.Activation {
    switch config["hidden_act"]?.string {
    case nil: return family.activation
    case "silu", "swish": return .silu
    case "gelu_pytorch_tanh", "gelu_new", "gelu_fast": return .tanhGelu
    case "gelu", "gelu_python": return .gelu
    case let other?:
      throw DiagnosticError(
        "import.configuration", "activation \(other) is not supported", at: location("hidden_act"),
        wayOut: "use a model with silu, gelu or gelu_pytorch_tanh")
    }
  }

  private func normEps(_ family: LlamaFamily) -> Double {
    switch family {
    case .llama, .mistral: config["rms_norm_eps"]?.double ?? 1e-6
    case .starcoder2: config["norm_epsilon"]?.double ?? 1e-5
    case .stablelm: (config["layer_norm_eps"] ?? config["norm_eps"])?.double ?? 1e-5
    case .olmo: 1e-5
    }
  }

  private func configuration(_ family: LlamaFamily) throws(DiagnosticError) -> LlamaConfiguration {
    let dim = try integer("hidden_size")
    let heads = try integer("num_attention_heads")
    var context = try integer("max_position_embeddings")
    // Up to its window, sliding-window attention is attention.
    if let window = config["sliding_window"]?.int { context = min(context, window) }
    let headDim = config["head_dim"]?.int ?? (heads > 0 ? dim / heads : 0)
    // Newer files keep the rotary numbers in an object of their own.
    let rope = config["rope_parameters"] ?? config["rope_scaling"]
    var configuration = LlamaConfiguration(
      dim: dim, layers: try integer("num_hidden_layers"), heads: heads,
      kvHeads: config["num_key_value_heads"]?.int ?? heads,
      headDim: headDim,
      hidden: try integer("intermediate_size"), vocabulary: try integer("vocab_size"),
      modelContext: context,
      ropeBase: rope?["rope_theta"]?.double ?? config["rope_theta"]?.double ?? 10000,
      ropeDim: try ropeDim(family, headDim: headDim, rope), normEps: normEps(family),
      tied: config["tie_word_embeddings"]?.bool ?? family.isTiedByDefault, norm: family.norm,
      activation: try activation(family))
    configuration.ropeScaling = try ropeScaling(rope)
    try configuration.requirePlausible(file: configFile)
    return configuration
  }

  /// The channels of a head that rotate.
  private func ropeDim(
    _ family: LlamaFamily, headDim: Int, _ rope: JSONValue?
  ) throws(DiagnosticError) -> Int {
    let key = "partial_rotary_factor"
    let part = (rope?[key] ?? config[key])?.double ?? family.rotaryPart
    guard part > 0, part <= 1 else {
      throw DiagnosticError(
        "import.rope", "the rotating part of a head is \(part); it must be in 0...1",
        at: location(key))
    }
    // Heads that wide are refused with all other numbers.
    return (0...65536).contains(headDim) ? Int(Double(headDim) * part) : headDim
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
    _ family: LlamaFamily, _ c: LlamaConfiguration, _ lookup: inout TensorLookup
  ) -> LlamaWeights {
    let q = c.heads * c.headDim
    let kv = c.kvHeads * c.headDim
    // Biases that the configuration promises must be there; others are taken where they are.
    func says(_ key: String, default isSet: Bool = false) -> Bool {
      config[key]?.bool ?? isSet
    }
    let all = family == .starcoder2 && says("use_bias", default: true)
    let attention = all || says("attention_bias")
    let projections = attention || (family == .stablelm && says("use_qkv_bias"))
    let feedForward = all || says("mlp_bias")
    func norm(_ name: String) -> LlamaWeights.Norm {
      guard family.hasNormWeights else { return LlamaWeights.Norm() }
      return LlamaWeights.Norm(
        scale: lookup.take("\(name).weight", [c.dim]),
        shift: c.norm == .layer ? lookup.take("\(name).bias", [c.dim]) : nil)
    }
    func linear(_ name: String, _ shape: Shape, biased: Bool, isRotary: Bool = false)
      -> LlamaWeights.Linear
    {
      func ordered(_ constant: Constant) -> Constant {
        isRotary
          ? RotaryRows.interleave(constant, headDim: c.headDim, ropeDim: c.ropeDim) : constant
      }
      let weights = lookup.take("\(name).weight", shape)
      let bias =
        biased
        ? lookup.take("\(name).bias", [shape[0]])
        : lookup.takeIfPresent("\(name).bias", [shape[0]])
      return LlamaWeights.Linear(weights: ordered(weights), bias: bias.map(ordered))
    }
    let embedding = lookup.take("model.embed_tokens.weight", [c.vocabulary, c.dim])
    var layers: [LlamaWeights.Layer] = []
    for index in 0..<c.layers {
      let block = "model.layers.\(index)"
      let (heads, mlp) = ("\(block).self_attn", "\(block).mlp")
      let (up, down) = family == .starcoder2 ? ("c_fc", "c_proj") : ("up_proj", "down_proj")
      layers.append(
        LlamaWeights.Layer(
          name: block, attentionNorm: norm("\(block).input_layernorm"),
          query: linear("\(heads).q_proj", [q, c.dim], biased: projections, isRotary: true),
          key: linear("\(heads).k_proj", [kv, c.dim], biased: projections, isRotary: true),
          value: linear("\(heads).v_proj", [kv, c.dim], biased: projections),
          output: linear("\(heads).o_proj", [c.dim, q], biased: attention),
          feedForwardNorm: norm("\(block).post_attention_layernorm"),
          gate: family.hasGate
            ? linear("\(mlp).gate_proj", [c.hidden, c.dim], biased: feedForward) : nil,
          up: linear("\(mlp).\(up)", [c.hidden, c.dim], biased: feedForward),
          down: linear("\(mlp).\(down)", [c.dim, c.hidden], biased: feedForward)))
      // Missing tensors of one block are missing from all; one block's worth says enough.
      if lookup.problems.count > 64 { break }
    }
    return LlamaWeights(
      embedding: embedding, layers: layers, finalNorm: norm("model.norm"),
      head: c.tied ? nil : lookup.take("lm_head.weight", [c.vocabulary, c.dim]))
  }
}
