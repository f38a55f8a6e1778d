import Foundation
import GraphIR
import Support
import TensorCore

/// A generated Llama-shaped model with random weights, for tests that need a graph but no file.
public struct RandomLlama: Sendable {
  /// Width of the residual stream.
  public var dim = 32
  /// Width of the feed-forward's inside.
  public var hidden = 48
  /// Transformer blocks.
  public var layers = 2
  /// Query heads.
  public var heads = 4
  /// Key and value heads.
  public var kvHeads = 2
  /// Vocabulary size.
  public var vocabulary = 64
  /// Positions the caches hold.
  public var context = 32
  /// Rows of `prefill` and `score`.
  public var batch = 8
  /// Whether the head shares the embedding's table.
  public var tied = true
  /// Whether the linear layers of the attention have a bias.
  public var biased = false
  /// Whether the norms take the mean away, and with what weights.
  public var layerNorm: LayerNorm?
  /// Whether the feed-forward part multiplies two layers' results; if not, it uses GELU.
  public var gated = true
  /// Whether that GELU is the error function's; if not, it is the one by `tanh`.
  public var exactGELU = false
  /// Whether all linear layers but the head have a bias.
  public var biasedThroughout = false
  /// The seed of all weights.
  public var seed: UInt64 = 1

  /// Where weights come from by tensor name and shape; random where it is nil or gives nil.
  public var weights: (@Sendable (_ name: String, _ shape: Shape) -> ConstantData?)?

  /// The weights of layer norms.
  public enum LayerNorm: Sendable, CaseIterable {
    /// Factors and shifts.
    case full
    /// Factors alone.
    case unshifted
    /// Neither.
    case plain
  }

  /// The small default shape.
  public init() {}

  /// The float graph with the functions `decode`, `prefill` and `score`.
  public func graph() -> Graph {
    var graph = Graph(name: "random-llama")
    graph.metadata["architecture"] = "llama"
    var random = SplitMix64(seed: seed)
    let headDim = dim / heads
    let kvDim = headDim * kvHeads
    func add(_ name: String, _ shape: Shape, _ make: (inout SplitMix64) -> Double) -> ConstantID {
      let data =
        weights?(name, shape)
        ?? ConstantData(floats: (0..<shape.count).map { _ in Float(make(&random)) })
      return graph.addConstant(
        Constant(name: name, type: TensorType(shape, .float32), data: data))
    }
    func matrix(_ name: String, _ rows: Int, _ columns: Int) -> ConstantID {
      let deviation = 1 / Double(columns).squareRoot()
      return add(name, [rows, columns]) { $0.normal() * deviation }
    }
    func norm(_ name: String) -> Norm {
      let gamma = add(name + ".weight", [dim]) { layerNorm == .plain ? 1 : 1 + 0.3 * $0.normal() }
      guard let layerNorm else { return Norm(gamma: gamma) }
      return Norm(
        gamma: gamma,
        beta: add(name + ".bias", [dim]) { layerNorm == .full ? 0.3 * $0.normal() : 0 })
    }
    let embedding = add("token_embd.weight", [vocabulary, dim]) { $0.normal() }
    var blocks: [Block] = []
    for layer in 0..<layers {
      let prefix = "blk.\(layer)."
      func bias(_ name: String, _ count: Int, isInAttention: Bool = false) -> ConstantID? {
        biasedThroughout || biased && isInAttention
          ? add(prefix + name, [count]) { 0.3 * $0.normal() } : nil
      }
      func cache(_ name: String) -> StateID {
        graph.addState(
          State(
            name: prefix + name, type: TensorType([kvHeads, context, headDim], .float32)))
      }
      blocks.append(
        Block(
          prefix: prefix, attentionNorm: norm(prefix + "attn_norm"),
          q: matrix(prefix + "attn_q.weight", dim, dim),
          k: matrix(prefix + "attn_k.weight", kvDim, dim),
          v: matrix(prefix + "attn_v.weight", kvDim, dim),
          output: matrix(prefix + "attn_output.weight", dim, dim),
          norm: norm(prefix + "ffn_norm"),
          gate: gated ? matrix(prefix + "ffn_gate.weight", hidden, dim) : nil,
          up: matrix(prefix + "ffn_up.weight", hidden, dim),
          down: matrix(prefix + "ffn_down.weight", dim, hidden),
          qBias: bias("attn_q.bias", dim, isInAttention: true),
          kBias: bias("attn_k.bias", kvDim, isInAttention: true),
          vBias: bias("attn_v.bias", kvDim), outputBias: bias("attn_output.bias", dim),
          gateBias: gated ? bias("ffn_gate.bias", hidden) : nil,
          upBias: bias("ffn_up.bias", hidden), downBias: bias("ffn_down.bias", dim),
          kCache: cache("k_cache"), vCache: cache("v_cache")))
    }
    let outputNorm = norm("output_norm")
    let head = tied ? embedding : matrix("output.weight", vocabulary, dim)
    var angles: [Float] = []
    for position in 0..<context {
      for pair in 0..<headDim / 2 {
        let angle = Double(position) * pow(10000, -2 * Double(pair) / Double(headDim))
        angles += [Float(cos(angle)), Float(sin(angle))]
      }
    }
    let table = graph.addConstant(
      Constant(
        name: "rope.table", type: TensorType([context, headDim], .float32),
        data: ConstantData(floats: angles)))
    let shared = Shared(embedding: embedding, norm: outputNorm, head: head, table: table)
    for (name, rows) in [("decode", 1), ("prefill", batch), ("score", batch)] {
      graph.functions.append(function(name, rows: rows, blocks: blocks, shared: shared))
    }
    return graph
  }

  private struct Block {
    var prefix: String
    var attentionNorm: Norm
    var q, k, v, output: ConstantID
    var norm: Norm
    var gate: ConstantID?
    var up, down: ConstantID
    var qBias, kBias, vBias, outputBias, gateBias, upBias, downBias: ConstantID?
    var kCache, vCache: StateID
  }

  private struct Norm {
    var gamma: ConstantID
    var beta: ConstantID?
  }

  private struct Shared {
    var embedding: ConstantID
    var norm: Norm
    var head, table: ConstantID
  }

  private func function(
    _ name: String, rows: Int, blocks: [Block], shared: Shared
  ) -> Function {
    let headDim = dim / heads
    var function = Function(name: name)
    let ids = Operand.value(function.addInput(TensorType([rows], .int32)))
    let position = Operand.value(function.addInput(TensorType([], .int32)))
    func emit(
      _ code: OpCode, _ operands: [Operand], width: Int, _ attributes: [String: Attribute] = [:],
      from source: String
    ) -> Operand {
      .value(
        function.append(
          code, operands, type: TensorType([rows, width], .float32), attributes: attributes,
          provenance: Provenance(source)))
    }
    func linear(
      _ x: Operand, _ weight: ConstantID, _ bias: ConstantID? = nil, width: Int, _ source: String
    ) -> Operand {
      emit(
        .linear, [x, .constant(weight)] + (bias.map { [.constant($0)] } ?? []), width: width,
        from: source)
    }
    func norm(_ x: Operand, _ norm: Norm, _ source: String) -> Operand {
      emit(
        norm.beta == nil ? .rmsNorm : .layerNorm,
        [x, .constant(norm.gamma)] + (norm.beta.map { [.constant($0)] } ?? []), width: dim,
        ["eps": .float(1e-5)], from: source)
    }
    var x = emit(
      .embedding, [ids, .constant(shared.embedding)], width: dim, from: "token_embd.weight")
    for (index, block) in blocks.enumerated() {
      let isLast = index == blocks.count - 1
      let kvDim = headDim * kvHeads
      let p = block.prefix
      let h = norm(x, block.attentionNorm, p + "attn_norm.weight")
      var q = linear(h, block.q, block.qBias, width: dim, p + "attn_q.weight")
      var k = linear(h, block.k, block.kBias, width: kvDim, p + "attn_k.weight")
      let v = linear(h, block.v, block.vBias, width: kvDim, p + "attn_v.weight")
      let rope: [String: Attribute] = ["head_dim": .int(headDim)]
      q = emit(
        .rope, [q, position, .constant(shared.table)], width: dim, rope, from: p + "rope_q")
      k = emit(
        .rope, [k, position, .constant(shared.table)], width: kvDim, rope, from: p + "rope_k")
      for (value, cache, source) in [(k, block.kCache, "k_cache"), (v, block.vCache, "v_cache")] {
        function.operations.append(
          Operation(
            .kvWrite, [value, position, .state(cache)], results: [],
            provenance: Provenance(p + source)))
      }
      if isLast && name == "prefill" { return function }
      let context = emit(
        .attention, [q, position, .state(block.kCache), .state(block.vCache)], width: dim,
        [
          "heads": .int(heads), "kv_heads": .int(kvHeads), "head_dim": .int(headDim),
          "scale": .float(1 / Double(headDim).squareRoot()),
        ], from: p + "attention")
      let attended = linear(
        context, block.output, block.outputBias, width: dim, p + "attn_output.weight")
      x = emit(.add, [x, attended], width: dim, from: p + "attn_residual")
      let h2 = norm(x, block.norm, p + "ffn_norm.weight")
      let inner: Operand
      if let weights = block.gate {
        let gate = linear(h2, weights, block.gateBias, width: hidden, p + "ffn_gate.weight")
        let up = linear(h2, block.up, block.upBias, width: hidden, p + "ffn_up.weight")
        let activated = emit(.silu, [gate], width: hidden, from: p + "ffn_act")
        inner = emit(.mul, [activated, up], width: hidden, from: p + "ffn_mul")
      } else {
        let up = linear(h2, block.up, block.upBias, width: hidden, p + "ffn_up.weight")
        inner = emit(
          .gelu, [up], width: hidden, exactGELU ? ["exact": .int(1)] : [:], from: p + "ffn_act")
      }
      let down = linear(inner, block.down, block.downBias, width: dim, p + "ffn_down.weight")
      x = emit(.add, [x, down], width: dim, from: p + "ffn_residual")
    }
    x = norm(x, shared.norm, "output_norm.weight")
    let logits = linear(x, shared.head, width: vocabulary, "output.weight")
    if case .value(let id) = logits { function.results = [id] }
    return function
  }
}
