/// A base pointer of a program's NPU jobs. Raw values are the NPU's region numbers.
public enum BasePointer: Int, Sendable, CaseIterable {
  /// The regions, at their first byte.
  case weights = 0
  case arena, near, state, params
  /// The caches' values of the position, in `state`: as far behind the first byte as they are behind those
  /// of position 0.
  case values
  /// The caches' keys of the position, in the same way.
  case keys
  /// The embedding table's row of the token, in `weights`.
  case embeddingRow

  /// The pointer of a region.
  public init(_ region: Region) {
    switch region {
    case .weights: self = .weights
    case .arena: self = .arena
    case .near: self = .near
    case .state: self = .state
    case .params: self = .params
    }
  }

  /// Whether it follows the position through the caches.
  public var isOfCaches: Bool { self == .values || self == .keys }

  /// The region its bytes are in.
  public var region: Region {
    switch self {
    case .weights, .embeddingRow: .weights
    case .arena: .arena
    case .near: .near
    case .state, .values, .keys: .state
    case .params: .params
    }
  }
}
