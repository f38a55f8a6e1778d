/// A measured number with its standard error.
public struct Estimate: Codable, Sendable, Equatable {
  /// The number.
  public var value: Double
  /// One standard error; nil where one sample is not enough to tell.
  public var error: Double?

  /// A number.
  public init(_ value: Double, error: Double? = nil) {
    self.value = value
    self.error = error
  }
}
