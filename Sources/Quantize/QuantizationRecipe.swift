import TensorCore

/// What a model is quantised to.
public struct QuantizationRecipe: Hashable, Sendable {
  /// The name on the command line, such as `w8a16`.
  public var name: String
  /// The type of what linear layers read: `int8` or `int16`.
  public var activations: ElementType

  /// 8-bit weights, 8-bit inputs of the linear layers.
  public static let w8a8 = QuantizationRecipe(name: "w8a8", activations: .int8)
  /// 8-bit weights, 16-bit inputs of the linear layers.
  public static let w8a16 = QuantizationRecipe(name: "w8a16", activations: .int16)
  /// All recipes, in the order they are listed to the user.
  public static let all = [w8a8, w8a16]

  /// The recipe called `name`.
  public init?(name: String) {
    guard let found = Self.all.first(where: { $0.name == name }) else { return nil }
    self = found
  }

  private init(name: String, activations: ElementType) {
    self.name = name
    self.activations = activations
  }
}
