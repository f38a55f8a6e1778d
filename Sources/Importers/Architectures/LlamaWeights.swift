import GraphIR

/// The weights of a Llama model by their role. Matrices are `[out, in]`; all types are float32,
/// whatever encodes the numbers; query and key rows are in the order of interleaved rotary pairs.
public struct LlamaWeights: Sendable {
  /// The weights of a norm, `[dim]` each.
  public struct Norm: Sendable {
    /// What it multiplies by; nil for ones.
    public var scale: Constant?
    /// What it adds, if it is a layer norm; nil for zeros.
    public var shift: Constant?

    /// Those there are.
    public var all: [Constant] { [scale, shift].compactMap(\.self) }
  }

  /// A linear layer.
  public struct Linear: Sendable {
    /// The matrix `[out, in]`.
    public var weights: Constant
    /// What is added to the result, `[out]`.
    public var bias: Constant?

    /// Those there are.
    public var all: [Constant] { [weights] + [bias].compactMap(\.self) }
  }

  /// The weights of one transformer block.
  public struct Layer: Sendable {
    /// The block's name in the user's file, such as `blk.3`.
    public var name: String
    /// The norm before attention.
    public var attentionNorm: Norm
    public var query: Linear
    public var key: Linear
    public var value: Linear
    public var output: Linear
    /// The norm before the feed-forward part.
    public var feedForwardNorm: Norm
    /// What goes through the activation and multiplies `up`; nil where `up` itself goes through it.
    public var gate: Linear?
    public var up: Linear
    public var down: Linear

    /// All of them, in the order they are used.
    public var all: [Constant] {
      attentionNorm.all + query.all + key.all + value.all + output.all + feedForwardNorm.all
        + (gate?.all ?? []) + up.all + down.all
    }
  }

  /// The token embedding `[vocabulary, dim]`.
  public var embedding: Constant
  /// The blocks.
  public var layers: [Layer]
  /// The norm before the head.
  public var finalNorm: Norm
  /// The head `[vocabulary, dim]`; nil when it is the embedding.
  public var head: Constant?

  /// All of them, in the order they are used.
  public var all: [Constant] {
    [embedding] + layers.flatMap(\.all) + finalNorm.all + [head].compactMap(\.self)
  }
}
