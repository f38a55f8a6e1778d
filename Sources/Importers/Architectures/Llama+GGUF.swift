import Containers
import GraphIR
import Support
import TensorCore

/// A Llama model's numbers and weights, whatever container they came from.
struct LlamaParts {
  var architecture: String
  var name: String?
  var configuration: LlamaConfiguration
  var weights: LlamaWeights
}

/// Reads the Llama architecture and its relatives out of a GGUF file.
///
/// Keys and tensor names: gguf-py 0.19, `constants.py` and `tensor_mapping.py`. Query and key weights of `llama`
/// and `olmo` are stored for interleaved rotary pairs already (llama.cpp's converter permutes them).
struct LlamaFromGGUF {
  let gguf: GGUFFile
  let file: String

  /// Throws `DiagnosticError` with codes `import.*`.
  func parts() throws(DiagnosticError) -> LlamaParts {
    guard case .string(let architecture)? = gguf.metadata["general.architecture"] else {
      throw missing("general.architecture")
    }
    guard let family = LlamaFamily(gguf: architecture) else {
      throw DiagnosticError(
        "import.architecture", "architecture \(architecture) is not supported",
        at: SourceLocation(file: file, element: "general.architecture"),
        wayOut: "use a model of the Llama family (\(LlamaFamily.names))")
    }
    if let experts = gguf.metadata["\(family).expert_count"]?.int, experts > 0 {
      throw DiagnosticError(
        "import.architecture", "mixtures of experts are not supported",
        at: SourceLocation(file: file, element: "\(family).expert_count"))
    }
    try requireKnownParts(family)
    let configuration = try configuration(family)
    var lookup = TensorLookup(file: file, find: gguf.tensor)
    let weights = takeWeights(family, configuration, &lookup)
    try lookup.finish()
    var name: String?
    if case .string(let text)? = gguf.metadata["general.name"] { name = text }
    return LlamaParts(
      architecture: architecture, name: name, configuration: configuration, weights: weights)
  }

  /// Throws where a relative of Llama has parts that the graph does not.
  private func requireKnownParts(_ family: LlamaFamily) throws(DiagnosticError) {
    func refuse(_ message: String, _ element: String) -> DiagnosticError {
      DiagnosticError(
        "import.configuration", message, at: SourceLocation(file: file, element: element))
    }
    if let clamp = gguf.metadata["\(family).attention.clamp_kqv"]?.double, clamp != 0 {
      throw refuse(
        "clipping of queries, keys and values is not supported", "\(family).attention.clamp_kqv")
    }
    for name in ["blk.0.attn_q_norm.weight", "blk.0.attn_k_norm.weight"]
    where gguf.tensor(name) != nil {
      throw refuse("norms of queries and keys are not supported", name)
    }
    // The key `use_parallel_residual` tells nothing: converters write it for models without. A block
    // that is parallel has no second norm.
    if family == .stablelm, gguf.tensor("blk.0.attn_norm.weight") != nil,
      gguf.tensor("blk.0.ffn_norm.weight") == nil
    {
      throw refuse(
        "blocks whose attention and feed-forward part are parallel are not supported",
        "blk.0.ffn_norm.weight")
    }
  }

  private func missing(_ key: String) -> DiagnosticError {
    DiagnosticError(
      "import.missing-key", "metadata key \(key) is missing or of another type",
      at: SourceLocation(file: file, element: key))
  }

  private func integer(_ key: String) throws(DiagnosticError) -> Int {
    guard let value = gguf.metadata[key]?.int else { throw missing(key) }
    return value
  }

  private func configuration(_ family: LlamaFamily) throws(DiagnosticError) -> LlamaConfiguration {
    guard let embedding = gguf.tensor("token_embd.weight") else {
      throw DiagnosticError(
        "import.missing-tensor", "tensor token_embd.weight is missing",
        at: SourceLocation(file: file, element: "token_embd.weight"))
    }
    let dim = try integer("\(family).embedding_length")
    let heads = try integer("\(family).attention.head_count")
    let headDim =
      gguf.metadata["\(family).attention.key_length"]?.int ?? (heads > 0 ? dim / heads : 0)
    let epsKey =
      family.norm == .rms ? "attention.layer_norm_rms_epsilon" : "attention.layer_norm_epsilon"
    guard let eps = gguf.metadata["\(family).\(epsKey)"]?.double else {
      throw missing("\(family).\(epsKey)")
    }
    var context = try integer("\(family).context_length")
    // Up to its window, sliding-window attention is attention.
    if let window = gguf.metadata["\(family).attention.sliding_window"]?.int, window > 0 {
      context = min(context, window)
    }
    var configuration = LlamaConfiguration(
      dim: dim, layers: try integer("\(family).block_count"), heads: heads,
      kvHeads: gguf.metadata["\(family).attention.head_count_kv"]?.int ?? heads, headDim: headDim,
      hidden: try integer("\(family).feed_forward_length"),
      vocabulary: embedding.shape.rank == 2 ? embedding.shape[0] : 0,
      modelContext: context,
      ropeBase: gguf.metadata["\(family).rope.freq_base"]?.double ?? 10000,
      ropeDim: gguf.metadata["\(family).rope.dimension_count"]?.int,
      // The float32 in the file stands for a decimal number; its shortest form is what was meant.
      normEps: Double(Float(eps).description) ?? eps,
      tied: gguf.tensor("output.weight") == nil, norm: family.norm, activation: family.activation)
    if let length = gguf.metadata["\(family).attention.value_length"]?.int, length != headDim {
      throw DiagnosticError(
        "import.configuration", "heads with \(headDim) key and \(length) value channels",
        at: SourceLocation(file: file, element: "\(family).attention.value_length"))
    }
    try configuration.requirePlausible(file: file)
    configuration.ropeScaling = try ropeScaling(family, configuration)
    return configuration
  }

  private func ropeScaling(
    _ family: LlamaFamily, _ configuration: LlamaConfiguration
  ) throws(DiagnosticError) -> RopeScaling {
    if let tensor = gguf.tensor("rope_freqs.weight") {
      let count = configuration.ropeDim / 2
      guard tensor.shape == [count], let divisors = tensor.data.floats(count: count),
        divisors.allSatisfy({ $0.isFinite && $0 > 0 })
      else {
        throw DiagnosticError(
          "import.rope",
          "tensor rope_freqs.weight must hold \(count) positive numbers",
          at: SourceLocation(file: file, element: tensor.name, byteOffset: tensor.byteOffset))
      }
      return .divisors(divisors)
    }
    guard case .string(let type)? = gguf.metadata["\(family).rope.scaling.type"], type != "none"
    else {
      return .none
    }
    guard type == "linear", let factor = gguf.metadata["\(family).rope.scaling.factor"]?.double,
      factor.isFinite, factor > 0
    else {
      throw DiagnosticError(
        "import.rope", "rotary scaling of type \(type) is not supported",
        at: SourceLocation(file: file, element: "\(family).rope.scaling.type"),
        wayOut: "use a model with no, linear or llama3 scaling")
    }
    return .linear(factor: factor)
  }

  private func takeWeights(
    _ family: LlamaFamily, _ c: LlamaConfiguration, _ lookup: inout TensorLookup
  ) -> LlamaWeights {
    let q = c.heads * c.headDim
    let kv = c.kvHeads * c.headDim
    func norm(_ name: String) -> LlamaWeights.Norm {
      guard family.hasNormWeights else { return LlamaWeights.Norm() }
      return LlamaWeights.Norm(
        scale: lookup.take("\(name).weight", [c.dim]),
        shift: c.norm == .layer ? lookup.take("\(name).bias", [c.dim]) : nil)
    }
    func linear(_ name: String, _ shape: Shape, isRotary: Bool = false) -> LlamaWeights.Linear {
      func ordered(_ constant: Constant) -> Constant {
        isRotary && family.hasHalvesInGGUF
          ? RotaryRows.interleave(constant, headDim: c.headDim, ropeDim: c.ropeDim) : constant
      }
      return LlamaWeights.Linear(
        weights: ordered(lookup.take("\(name).weight", shape)),
        bias: lookup.takeIfPresent("\(name).bias", [shape[0]]).map(ordered))
    }
    let embedding = lookup.take("token_embd.weight", [c.vocabulary, c.dim])
    var layers: [LlamaWeights.Layer] = []
    for index in 0..<c.layers {
      let block = "blk.\(index)"
      layers.append(
        LlamaWeights.Layer(
          name: block, attentionNorm: norm("\(block).attn_norm"),
          query: linear("\(block).attn_q", [q, c.dim], isRotary: true),
          key: linear("\(block).attn_k", [kv, c.dim], isRotary: true),
          value: linear("\(block).attn_v", [kv, c.dim]),
          output: linear("\(block).attn_output", [c.dim, q]),
          feedForwardNorm: norm("\(block).ffn_norm"),
          gate: family.hasGate ? linear("\(block).ffn_gate", [c.hidden, c.dim]) : nil,
          up: linear("\(block).ffn_up", [c.hidden, c.dim]),
          down: linear("\(block).ffn_down", [c.dim, c.hidden])))
      // Missing tensors of one block are missing from all; one block's worth says enough.
      if lookup.problems.count > 64 { break }
    }
    return LlamaWeights(
      embedding: embedding, layers: layers, finalNorm: norm("output_norm"),
      head: lookup.takeIfPresent("output.weight", [c.vocabulary, c.dim]))
  }
}
