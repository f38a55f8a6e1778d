import GraphIR

/// The weights of a Llama model by their role. Matrices are `[out, in]`; all types are float32,
/// whatever encodes the numbers; query and key rows are in the order of interleaved rotary pairs.
public struct LlamaWeights: Sendable {
  /// The weights of one transformer block.
  public struct Layer: Sendable {
    /// The block's name in the user's file, such as `blk.3`.
    public var name: String
    public var attentionNorm: Constant
    public var query: Constant
    public var key: Constant
    public var value: Constant
    public var output: Constant
    public var queryBias: Constant?
    public var keyBias: Constant?
    public var valueBias: Constant?
    public var outputBias: Constant?
    public var feedForwardNorm: Constant
    public var gate: Constant
    public var up: Constant
    public var down: Constant

    /// All of them, in the order they are used.
    public var all: [Constant] {
      [attentionNorm, query, key, value] + [queryBias, keyBias, valueBias].compactMap(\.self)
        + [output] + [outputBias].compactMap(\.self) + [feedForwardNorm, gate, up, down]
    }
  }

  /// The token embedding `[vocabulary, dim]`.
  public var embedding: Constant
  /// The blocks.
  public var layers: [Layer]
  /// The norm before the head.
  public var finalNorm: Constant
  /// The head `[vocabulary, dim]`; nil when it is the embedding.
  public var head: Constant?

  /// All of them, in the order they are used.
  public var all: [Constant] {
    [embedding] + layers.flatMap(\.all) + [finalNorm] + [head].compactMap(\.self)
  }
}
