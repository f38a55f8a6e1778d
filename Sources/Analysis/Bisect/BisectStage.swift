/// Where two builds can part, in the order a build makes it.
public enum BisectStage: String, CaseIterable, Sendable, Codable {
  /// The model's facts: vocabulary, context, which tensors and operations there are.
  case model
  /// Integer weights, decoded from the streams.
  case weights
  /// Bias, multiplier and shift of every output channel.
  case scales
  /// Look-up tables, embeddings, norm weights, multipliers.
  case tables
  /// Registers that decide what an NPU operation computes.
  case registers
  /// What every step computes on the probe prompt.
  case activations

  /// What is compared, for readers.
  public var title: String {
    switch self {
    case .model: "model"
    case .weights: "weights"
    case .scales: "scales"
    case .tables: "tables"
    case .registers: "NPU registers"
    case .activations: "activations"
    }
  }
}
