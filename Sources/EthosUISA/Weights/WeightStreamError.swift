/// Why a weight stream cannot be read or written, and where in it.
public struct WeightStreamError: Error, Hashable, Sendable, CustomStringConvertible {
  /// What is wrong.
  public enum Kind: Hashable, Sendable {
    /// The stream ends inside a field.
    case truncated
    /// A header field has a value that the format does not define.
    case invalidHeader(field: String, value: Int)
    /// A slice needs a palette header and has none.
    case missingPalette
    /// A slice without a palette header turns zero runs on or off.
    case runModeChanged
    /// A code stands for a value outside −255…255.
    case valueOutOfRange(code: Int)
    /// The stream holds more weights than the caller allows.
    case tooManyWeights(limit: Int)
    /// The stream holds another number of weights than the geometry asks for.
    case wrongCount(found: Int, expected: Int)
    /// A weight to be encoded is outside what the format carries.
    case weightOutOfRange(Int)
    /// The fast format cannot carry weights that are this far apart.
    case rangeTooWide(minimum: Int, maximum: Int)
    /// An aligned group of four weights has more than two that are not zero.
    case notSparse(group: Int)
    /// A geometry has a value that cannot be.
    case invalidGeometry(String)
    /// A buffer is smaller than the geometry needs.
    case bufferTooSmall(found: Int, expected: Int)
    /// A decoded weight does not fit the requested element type.
    case doesNotFit(Int)
  }

  /// What is wrong.
  public let kind: Kind
  /// Bits read before the trouble; 0 for errors of an encoder.
  public let bitOffset: Int

  /// An error.
  public init(_ kind: Kind, bitOffset: Int = 0) {
    self.kind = kind
    self.bitOffset = bitOffset
  }

  /// The kind and the place.
  public var description: String { "weight stream, bit \(bitOffset): \(kind)" }
}
