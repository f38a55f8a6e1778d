import Foundation
import GraphIR
import Support
import TensorCore

/// Builds the canonical float graph of a Llama-family model.
///
/// The functions share weights and the KV cache and take `ids [n] int32` and `pos [] int32`, the
/// cache row of the first id:
/// - `decode`: one token → logits `[1, vocabulary]`;
/// - `prefill`: n tokens → nothing; it ends with the last block's cache write, since the rest of
///   that block and the head serve only logits;
/// - `score`: n tokens → logits `[n, vocabulary]`, for perplexity.
public struct LlamaBuilder {
  /// The model's numbers; `context` decides the size of the cache and the rotary table.
  public let configuration: LlamaConfiguration
  /// The graph being built.
  private var graph: Graph
  private var ids = LayerConstants()
  private var embedding = ConstantID(0)
  private var finalNorm = NormConstants(scale: ConstantID(0))
  private var head = LinearConstants(weights: ConstantID(0))
  private var ropeTable = ConstantID(0)
  /// The blocks' names in the user's file, for provenance.
  private let names: [String]

  private struct LayerConstants {
    var layers: [Layer] = []

    struct Layer {
      var attentionNorm: NormConstants
      var query, key, value, output: LinearConstants
      var feedForwardNorm: NormConstants
      var gate: LinearConstants?
      var up, down: LinearConstants
      var keyCache, valueCache: StateID
    }
  }

  /// The graph of a model whose weights have been checked against its configuration.
  ///
  /// `name` becomes the graph's; `prefillTokens` and `scoreTokens` are the n of the functions,
  /// clamped to the context.
  public static func build(
    name: String, configuration: LlamaConfiguration, weights: LlamaWeights, prefillTokens: Int,
    scoreTokens: Int
  ) -> Graph {
    var builder = LlamaBuilder(name: name, configuration: configuration, weights: weights)
    let limit = configuration.context
    builder.addFunction("decode", tokens: 1, logits: true)
    builder.addFunction("prefill", tokens: max(1, min(prefillTokens, limit)), logits: false)
    builder.addFunction("score", tokens: max(1, min(scoreTokens, limit)), logits: true)
    return builder.graph
  }

  private init(name: String, configuration: LlamaConfiguration, weights: LlamaWeights) {
    self.configuration = configuration
    names = weights.layers.map(\.name)
    graph = Graph(
      name: name,
      metadata: [
        "architecture": "llama",
        "context": String(configuration.context),
        "model_context": String(configuration.modelContext),
        "vocabulary": String(configuration.vocabulary),
      ])
    embedding = graph.addConstant(weights.embedding)
    ropeTable = graph.addConstant(
      Constant(
        name: "rope.table",
        type: TensorType([configuration.context, configuration.headDim], .float32),
        data: RopeTable.make(configuration)))
    let cache = TensorType(
      [configuration.kvHeads, configuration.context, configuration.headDim], .float32)
    for (index, layer) in weights.layers.enumerated() {
      ids.layers.append(
        LayerConstants.Layer(
          attentionNorm: add(layer.attentionNorm, "\(layer.name).attention_norm"),
          query: add(layer.query), key: add(layer.key), value: add(layer.value),
          output: add(layer.output),
          feedForwardNorm: add(layer.feedForwardNorm, "\(layer.name).feed_forward_norm"),
          gate: layer.gate.map { add($0) }, up: add(layer.up), down: add(layer.down),
          keyCache: graph.addState(State(name: "blk.\(index).k", type: cache)),
          valueCache: graph.addState(State(name: "blk.\(index).v", type: cache))))
    }
    finalNorm = add(weights.finalNorm, "final_norm")
    head = LinearConstants(weights: weights.head.map { graph.addConstant($0) } ?? embedding)
  }

  private mutating func add(_ linear: LlamaWeights.Linear) -> LinearConstants {
    LinearConstants(
      weights: graph.addConstant(linear.weights), bias: linear.bias.map { graph.addConstant($0) })
  }

  /// Adds a norm's constants; `name` is for those that the file does not have, because they are all ones
  /// or all zeros.
  private mutating func add(_ norm: LlamaWeights.Norm, _ name: String) -> NormConstants {
    func filled(_ value: Float, _ part: String) -> Constant {
      Constant(
        name: "\(name).\(part)", type: TensorType([configuration.dim], .float32),
        data: ConstantData(floats: [Float](repeating: value, count: configuration.dim)))
    }
    let scale = graph.addConstant(norm.scale ?? filled(1, "scale"))
    guard configuration.norm == .layer else { return NormConstants(scale: scale) }
    return NormConstants(
      scale: scale, shift: graph.addConstant(norm.shift ?? filled(0, "shift")))
  }

  private mutating func addFunction(_ name: String, tokens: Int, logits: Bool) {
    var body = FunctionBuilder(
      function: Function(name: name), configuration: configuration, tokens: tokens)
    let ids = body.function.addInput(TensorType([tokens], .int32))
    let position = body.function.addInput(TensorType([], .int32))
    var residual = body.append(
      .embedding, [.value(ids), .constant(embedding)], width: configuration.dim,
      from: graph[embedding].name)
    for (index, layer) in self.ids.layers.enumerated() {
      let source = names[index]
      let norm = body.norm(residual, layer.attentionNorm, graph)
      let key = body.rope(
        body.linear(norm, layer.key, graph), position, ropeTable, from: "\(source).key")
      let value = body.linear(norm, layer.value, graph)
      body.write(key, position, layer.keyCache, from: "\(source).key")
      body.write(value, position, layer.valueCache, from: "\(source).value")
      if !logits, index == self.ids.layers.count - 1 { break }
      let query = body.rope(
        body.linear(norm, layer.query, graph), position, ropeTable, from: "\(source).query")
      let context = body.attention(
        query, position, layer.keyCache, layer.valueCache, from: "\(source).attention")
      let attended = body.linear(context, layer.output, graph)
      residual = body.append(
        .add, [.value(residual), .value(attended)], width: configuration.dim,
        from: "\(source).attention")
      let norm2 = body.norm(residual, layer.feedForwardNorm, graph)
      let up = body.linear(norm2, layer.up, graph)
      let inner: ValueID
      if let gate = layer.gate {
        let open = body.activation(body.linear(norm2, gate, graph), from: "\(source).gate")
        inner = body.append(
          .mul, [.value(open), .value(up)], width: configuration.hidden,
          from: "\(source).feed_forward")
      } else {
        inner = body.activation(up, from: "\(source).feed_forward")
      }
      let down = body.linear(inner, layer.down, graph)
      residual = body.append(
        .add, [.value(residual), .value(down)], width: configuration.dim,
        from: "\(source).feed_forward")
    }
    if logits {
      let norm = body.norm(residual, finalNorm, graph)
      body.function.results = [body.linear(norm, head, graph)]
    }
    graph.functions.append(body.function)
  }
}

/// A norm's constants in the graph; a layer norm has a shift.
private struct NormConstants {
  var scale: ConstantID
  var shift: ConstantID?
}

/// A linear layer's constants in the graph.
private struct LinearConstants {
  var weights: ConstantID
  var bias: ConstantID?
}

/// The operations of one function under construction.
private struct FunctionBuilder {
  var function: Function
  let configuration: LlamaConfiguration
  let tokens: Int

  mutating func append(
    _ code: OpCode, _ operands: [Operand], width: Int, attributes: [String: Attribute] = [:],
    from source: String
  ) -> ValueID {
    function.append(
      code, operands, type: TensorType([tokens, width], .float32), attributes: attributes,
      provenance: Provenance(source))
  }

  mutating func norm(_ x: ValueID, _ norm: NormConstants, _ graph: Graph) -> ValueID {
    append(
      norm.shift == nil ? .rmsNorm : .layerNorm,
      [.value(x), .constant(norm.scale)] + (norm.shift.map { [.constant($0)] } ?? []),
      width: configuration.dim, attributes: ["eps": .float(configuration.normEps)],
      from: graph[norm.scale].name)
  }

  mutating func linear(_ x: ValueID, _ layer: LinearConstants, _ graph: Graph) -> ValueID {
    append(
      .linear,
      [.value(x), .constant(layer.weights)] + (layer.bias.map { [.constant($0)] } ?? []),
      width: graph[layer.weights].type.shape[0], from: graph[layer.weights].name)
  }

  mutating func activation(_ x: ValueID, from source: String) -> ValueID {
    append(
      configuration.activation == .silu ? .silu : .gelu, [.value(x)], width: configuration.hidden,
      attributes: configuration.activation == .gelu ? ["exact": .int(1)] : [:], from: source)
  }

  mutating func rope(
    _ x: ValueID, _ position: ValueID, _ table: ConstantID, from source: String
  ) -> ValueID {
    append(
      .rope, [.value(x), .value(position), .constant(table)], width: function[x].type.shape[1],
      attributes: ["head_dim": .int(configuration.headDim)], from: source)
  }

  mutating func write(_ x: ValueID, _ position: ValueID, _ cache: StateID, from source: String) {
    function.operations.append(
      Operation(
        .kvWrite, [.value(x), .value(position), .state(cache)], results: [],
        provenance: Provenance(source)))
  }

  mutating func attention(
    _ query: ValueID, _ position: ValueID, _ key: StateID, _ value: StateID, from source: String
  ) -> ValueID {
    append(
      .attention, [.value(query), .value(position), .state(key), .state(value)],
      width: configuration.heads * configuration.headDim,
      attributes: [
        "heads": .int(configuration.heads), "kv_heads": .int(configuration.kvHeads),
        "head_dim": .int(configuration.headDim),
        "scale": .float(1 / Double(configuration.headDim).squareRoot()),
      ], from: source)
  }
}
