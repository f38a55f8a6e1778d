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

/// Reads the Llama architecture out of a GGUF file. Query and key weights of architecture `llama`
/// are stored for interleaved rotary pairs already (llama.cpp's converter permutes them).
struct LlamaFromGGUF {
  let gguf: GGUFFile
  let file: String

  /// Throws `DiagnosticError` with codes `import.*`.
  func parts() throws(DiagnosticError) -> LlamaParts {
    guard case .string(let architecture)? = gguf.metadata["general.architecture"] else {
      throw missing("general.architecture")
    }
    guard architecture == "llama" else {
      throw DiagnosticError(
        "import.architecture", "architecture \(architecture) is not supported",
        at: SourceLocation(file: file, element: "general.architecture"),
        wayOut: "use a model of the Llama family (architecture llama)")
    }
    if let experts = gguf.metadata["llama.expert_count"]?.int, experts > 0 {
      throw DiagnosticError(
        "import.architecture", "mixtures of experts are not supported",
        at: SourceLocation(file: file, element: "llama.expert_count"))
    }
    let configuration = try configuration()
    var lookup = TensorLookup(file: file, find: gguf.tensor)
    let weights = takeWeights(configuration, &lookup)
    try lookup.finish()
    var name: String?
    if case .string(let text)? = gguf.metadata["general.name"] { name = text }
    return LlamaParts(
      architecture: architecture, name: name, configuration: configuration, weights: weights)
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

  private func configuration() throws(DiagnosticError) -> LlamaConfiguration {
    guard let embedding = gguf.tensor("token_embd.weight") else {
      throw DiagnosticError(
        "import.missing-tensor", "tensor token_embd.weight is missing",
        at: SourceLocation(file: file, element: "token_embd.weight"))
    }
    let dim = try integer("llama.embedding_length")
    let heads = try integer("llama.attention.head_count")
    let headDim =
      gguf.metadata["llama.attention.key_length"]?.int ?? (heads > 0 ? dim / heads : 0)
    guard let eps = gguf.metadata["llama.attention.layer_norm_rms_epsilon"]?.double else {
      throw missing("llama.attention.layer_norm_rms_epsilon")
    }
    var configuration = LlamaConfiguration(
      dim: dim, layers: try integer("llama.block_count"), heads: heads,
      kvHeads: gguf.metadata["llama.attention.head_count_kv"]?.int ?? heads, headDim: headDim,
      hidden: try integer("llama.feed_forward_length"),
      vocabulary: embedding.shape.rank == 2 ? embedding.shape[0] : 0,
      modelContext: try integer("llama.context_length"),
      ropeBase: gguf.metadata["llama.rope.freq_base"]?.double ?? 10000,
      ropeDim: gguf.metadata["llama.rope.dimension_count"]?.int,
      // The float32 in the file stands for a decimal number; its shortest form is what was meant.
      normEps: Double(Float(eps).description) ?? eps,
      tied: gguf.tensor("output.weight") == nil)
    if let length = gguf.metadata["llama.attention.value_length"]?.int, length != headDim {
      throw DiagnosticError(
        "import.configuration", "heads with \(headDim) key and \(length) value channels",
        at: SourceLocation(file: file, element: "llama.attention.value_length"))
    }
    try configuration.requirePlausible(file: file)
    configuration.ropeScaling = try ropeScaling(configuration)
    return configuration
  }

  private func ropeScaling(_ configuration: LlamaConfiguration) throws(DiagnosticError)
    -> RopeScaling
  {
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
    guard case .string(let type)? = gguf.metadata["llama.rope.scaling.type"], type != "none" else {
      return .none
    }
    guard type == "linear", let factor = gguf.metadata["llama.rope.scaling.factor"]?.double,
      factor.isFinite, factor > 0
    else {
      throw DiagnosticError(
        "import.rope", "rotary scaling of type \(type) is not supported",
        at: SourceLocation(file: file, element: "llama.rope.scaling.type"),
        wayOut: "use a model with no, linear or llama3 scaling")
    }
    return .linear(factor: factor)
  }

  private func takeWeights(
    _ c: LlamaConfiguration, _ lookup: inout TensorLookup
  ) -> LlamaWeights {
    let q = c.heads * c.headDim
    let kv = c.kvHeads * c.headDim
    let embedding = lookup.take("token_embd.weight", [c.vocabulary, c.dim])
    var layers: [LlamaWeights.Layer] = []
    for index in 0..<c.layers {
      let block = "blk.\(index)"
      layers.append(
        LlamaWeights.Layer(
          name: block,
          attentionNorm: lookup.take("\(block).attn_norm.weight", [c.dim]),
          query: lookup.take("\(block).attn_q.weight", [q, c.dim]),
          key: lookup.take("\(block).attn_k.weight", [kv, c.dim]),
          value: lookup.take("\(block).attn_v.weight", [kv, c.dim]),
          output: lookup.take("\(block).attn_output.weight", [c.dim, q]),
          queryBias: lookup.takeIfPresent("\(block).attn_q.bias", [q]),
          keyBias: lookup.takeIfPresent("\(block).attn_k.bias", [kv]),
          valueBias: lookup.takeIfPresent("\(block).attn_v.bias", [kv]),
          outputBias: lookup.takeIfPresent("\(block).attn_output.bias", [c.dim]),
          feedForwardNorm: lookup.take("\(block).ffn_norm.weight", [c.dim]),
          gate: lookup.take("\(block).ffn_gate.weight", [c.hidden, c.dim]),
          up: lookup.take("\(block).ffn_up.weight", [c.hidden, c.dim]),
          down: lookup.take("\(block).ffn_down.weight", [c.dim, c.hidden])))
      // Missing tensors of one block are missing from all; one block's worth says enough.
      if lookup.problems.count > 64 { break }
    }
    return LlamaWeights(
      embedding: embedding, layers: layers,
      finalNorm: lookup.take("output_norm.weight", [c.dim]),
      head: lookup.takeIfPresent("output.weight", [c.vocabulary, c.dim]))
  }
}
