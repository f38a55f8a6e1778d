import Containers
import GraphIR
import Support
import TensorCore

/// Reads the Llama architecture out of a llama2.c checkpoint, whose weights are for interleaved
/// rotary pairs.
struct LlamaFromLlama2c {
  let checkpoint: Llama2cFile
  let file: String

  /// Throws `DiagnosticError` with codes `import.*`.
  func parts() throws(DiagnosticError) -> LlamaParts {
    let h = checkpoint.header
    // The format has no field for the epsilon and the base; `model.py` and `run.c` fix them.
    let c = LlamaConfiguration(
      dim: h.dim, layers: h.layers, heads: h.heads, kvHeads: h.kvHeads, headDim: h.headDim,
      hidden: h.hidden, vocabulary: h.vocabulary, modelContext: h.context, ropeBase: 10000,
      normEps: 1e-5, tied: h.sharedClassifier)
    try c.requirePlausible(file: file)
    var lookup = TensorLookup(file: file) { checkpoint.tensors[$0] }
    let kv = h.kvDim
    let layers = (0..<c.layers).map { index in
      let block = "layers.\(index)"
      return LlamaWeights.Layer(
        name: block,
        attentionNorm: lookup.take("\(block).attention_norm", [c.dim]),
        query: lookup.take("\(block).attention.wq", [c.dim, c.dim]),
        key: lookup.take("\(block).attention.wk", [kv, c.dim]),
        value: lookup.take("\(block).attention.wv", [kv, c.dim]),
        output: lookup.take("\(block).attention.wo", [c.dim, c.dim]),
        feedForwardNorm: lookup.take("\(block).ffn_norm", [c.dim]),
        gate: lookup.take("\(block).feed_forward.w1", [c.hidden, c.dim]),
        up: lookup.take("\(block).feed_forward.w3", [c.hidden, c.dim]),
        down: lookup.take("\(block).feed_forward.w2", [c.dim, c.hidden]))
    }
    let weights = LlamaWeights(
      embedding: lookup.take("tok_embeddings", [c.vocabulary, c.dim]), layers: layers,
      finalNorm: lookup.take("norm", [c.dim]),
      head: h.sharedClassifier ? nil : lookup.take("output", [c.vocabulary, c.dim]))
    try lookup.finish()
    return LlamaParts(architecture: "llama", name: nil, configuration: c, weights: weights)
  }
}
