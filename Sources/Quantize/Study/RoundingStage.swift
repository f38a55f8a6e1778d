/// The parts of a quantisation that can be looked at one by one.
public enum RoundingStage: String, CaseIterable, Sendable, Codable {
  /// Weights of the linear layers, to steps of their output channel.
  case weights
  /// Rows of the embedding table.
  case embeddings
  /// What operations hand to each other: rounded to the value's scale, clipped at its limits.
  case activations
  /// Keys and values in the cache.
  case kvCache = "kv_cache"
  /// Look-up tables: activation functions between their entries, and rotations.
  case tables

  /// The name for readers.
  public var title: String {
    switch self {
    case .weights: "weights"
    case .embeddings: "embeddings"
    case .activations: "activations"
    case .kvCache: "KV cache"
    case .tables: "look-up tables"
    }
  }
}
