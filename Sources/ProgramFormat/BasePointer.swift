/// A base pointer of a program's NPU jobs. Raw values are the NPU's region numbers.
public enum BasePointer: Int, Sendable, CaseIterable {
  /// The regions, at their first byte.
  case weights = 0
  case arena, staging, state, params
  /// The rotation table's row of the position, in `params`.
  case rotation
  /// Each cache's row of the position, in `state`: what lies at the caches' first byte is moved on by
  /// as many rows as tokens were read.
  case cacheRow
  /// The embedding table's row of the token, in `weights`.
  case embeddingRow

  /// The pointer of a region.
  public init(_ region: Region) {
    switch region {
    case .weights: self = .weights
    case .arena: self = .arena
    case .staging: self = .staging
    case .state: self = .state
    case .params: self = .params
    }
  }

  /// The region its bytes are in.
  public var region: Region {
    switch self {
    case .weights, .embeddingRow: .weights
    case .arena: .arena
    case .staging: .staging
    case .state, .cacheRow: .state
    case .params, .rotation: .params
    }
  }
}
