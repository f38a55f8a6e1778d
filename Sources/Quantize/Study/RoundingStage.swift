/// The parts of a quantisation that can be looked at one by one.
public enum RoundingStage: String, CaseIterable, Sendable, Codable {
  /// Weights of the linear layers, to steps of their output channel.
  case weights
  /// Rows of the embedding table.
  case embeddings
  /// What operations hand to each other: rounded to the value's scale, clipped at its limits.
  case activations
  /// Keys in their cache.
  case keys
  /// Values in their cache.
  case values
  /// Look-up tables: activation functions between their entries, and rotations.
  case tables

  /// The name for readers.
  public var title: String {
    switch self {
    case .weights: "weights"
    case .embeddings: "embeddings"
    case .activations: "activations"
    case .keys: "KV cache: keys"
    case .values: "KV cache: values"
    case .tables: "look-up tables"
    }
  }
}
