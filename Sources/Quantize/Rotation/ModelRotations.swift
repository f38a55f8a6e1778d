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

  /// The options of recipes that name them.
  static let options: [(name: String, rotations: ModelRotations)] = [
    ("rotate=0", []), ("rotate=1", .all), ("rotate=stream", .stream), ("rotate=values", .values),
  ]

  /// The option that names them, such as `rotate=1`; nil for none.
  var option: String? {
    isEmpty ? nil : Self.options.first { $0.rotations == self }?.name
  }
}
