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
    func norm(_ name: String) -> LlamaWeights.Norm {
      LlamaWeights.Norm(scale: lookup.take(name, [c.dim]))
    }
    func linear(_ name: String, _ shape: Shape) -> LlamaWeights.Linear {
      LlamaWeights.Linear(weights: lookup.take(name, shape))
    }
    let layers = (0..<c.layers).map { index in
      let block = "layers.\(index)"
      return LlamaWeights.Layer(
        name: block,
        attentionNorm: norm("\(block).attention_norm"),
        query: linear("\(block).attention.wq", [c.dim, c.dim]),
        key: linear("\(block).attention.wk", [kv, c.dim]),
        value: linear("\(block).attention.wv", [kv, c.dim]),
        output: linear("\(block).attention.wo", [c.dim, c.dim]),
        feedForwardNorm: norm("\(block).ffn_norm"),
        gate: linear("\(block).feed_forward.w1", [c.hidden, c.dim]),
        up: linear("\(block).feed_forward.w3", [c.hidden, c.dim]),
        down: linear("\(block).feed_forward.w2", [c.dim, c.hidden]))
    }
    let weights = LlamaWeights(
      embedding: lookup.take("tok_embeddings", [c.vocabulary, c.dim]), layers: layers,
      finalNorm: norm("norm"),
      head: h.sharedClassifier ? nil : lookup.take("output", [c.vocabulary, c.dim]))
    try lookup.finish()
    return LlamaParts(architecture: "llama", name: nil, configuration: c, weights: weights)
  }
}
