/// What of a model is rotated.
public struct ModelRotations: OptionSet, Hashable, Sendable {
  public let rawValue: Int

  public init(rawValue: Int) { self.rawValue = rawValue }

  /// The residual stream.
  public static let stream = ModelRotations(rawValue: 1)
  /// The values of attention heads.
  public static let values = ModelRotations(rawValue: 2)
  /// Both.
  public static let all: ModelRotations = [.stream, .values]
}
