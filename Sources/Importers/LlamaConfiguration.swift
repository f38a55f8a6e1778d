/// The numbers that define a model of the Llama family.
public struct LlamaConfiguration: Sendable, Hashable {
  /// Width of the residual stream.
  public var dim: Int
  /// Transformer blocks.
  public var layers: Int
  /// Query heads.
  public var heads: Int
  /// Key and value heads; divides `heads`.
  public var kvHeads: Int
  /// Channels of one head; even.
  public var headDim: Int
  /// Width of the feed-forward part.
  public var hidden: Int
  /// Token ids.
  public var vocabulary: Int
  /// The longest context the model was made for.
  public var modelContext: Int
  /// The context of the graph: rows of the KV cache.
  public var context: Int
  /// Base of the rotary frequencies.
  public var ropeBase: Double
  /// How the rotary frequencies are stretched for longer contexts.
  public var ropeScaling: RopeScaling
  /// Channels of a head that rotate, from the first; the others pass unchanged.
  public var ropeDim: Int
  /// The epsilon of the norms.
  public var normEps: Double
  /// Whether the head's weights are the embedding table.
  public var tied: Bool
  /// What the norms compute.
  public var norm: Norm
  /// The activation of the feed-forward part.
  public var activation: Activation

  /// A kind of norm.
  public enum Norm: String, Sendable, Hashable {
    /// Divides by the root of the mean square.
    case rms
    /// Takes the mean away first, and adds a shift in the end.
    case layer
  }

  /// An activation.
  public enum Activation: String, Sendable, Hashable {
    /// `x · sigmoid(x)`.
    case silu
    /// The Gaussian error linear unit in its tanh form.
    case tanhGelu
    /// The Gaussian error linear unit by the error function.
    case gelu
  }

  /// A configuration; `context` starts out as the model's.
  public init(
    dim: Int, layers: Int, heads: Int, kvHeads: Int, headDim: Int, hidden: Int, vocabulary: Int,
    modelContext: Int, ropeBase: Double = 10000, ropeScaling: RopeScaling = .none,
    ropeDim: Int? = nil, normEps: Double = 1e-5, tied: Bool, norm: Norm = .rms,
    activation: Activation = .silu
  ) {
    self.dim = dim
    self.layers = layers
    self.heads = heads
    self.kvHeads = kvHeads
    self.headDim = headDim
    self.hidden = hidden
    self.vocabulary = vocabulary
    self.modelContext = modelContext
    context = modelContext
    self.ropeBase = ropeBase
    self.ropeScaling = ropeScaling
    self.ropeDim = ropeDim ?? headDim
    self.normEps = normEps
    self.tied = tied
    self.norm = norm
    self.activation = activation
  }
}
