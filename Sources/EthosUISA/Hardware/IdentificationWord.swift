/// The id word of a driver payload; the ID register at 0x0 has the same layout.
public struct IdentificationWord: Sendable, Hashable {
  /// The word.
  public let rawValue: UInt32

  /// Any word.
  public init(rawValue: UInt32) { self.rawValue = rawValue }

  /// Architecture version: major, minor and patch.
  public var architecture: (major: Int, minor: Int, patch: Int) {
    (Int(rawValue >> 28), Int(rawValue >> 20 & 255), Int(rawValue >> 16 & 15))
  }

  /// The product field.
  public var productMajor: Int { Int(rawValue >> 12 & 15) }

  /// Version of the implementation: major, minor, status.
  public var version: (major: Int, minor: Int, status: Int) {
    (Int(rawValue >> 8 & 15), Int(rawValue >> 4 & 15), Int(rawValue & 15))
  }
}
