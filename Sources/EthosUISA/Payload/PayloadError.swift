/// Bytes that are no driver payload, and where.
public struct PayloadError: Error, Sendable, Hashable, CustomStringConvertible {
  /// What is wrong.
  public enum Reason: Sendable, Hashable {
    /// Too short, or a part is cut off.
    case truncated
    /// The length is no multiple of 4.
    case partialWord
    /// Neither `COP1` nor `COP2`.
    case magic(UInt32)
    /// An action or entry that no driver knows.
    case unknownAction(UInt32)
    /// Two command streams, or two configurations.
    case repeated
    /// No configuration precedes the stream.
    case noConfiguration
    /// No command stream.
    case noStream
    /// The stream does not start on a 16-byte boundary.
    case misaligned
    /// The stream is longer than hardware accepts.
    case streamTooLong(words: Int)
    /// COP2: a version or a length field that contradicts the rest.
    case malformed(String)
    /// The configuration word names no known product.
    case unknownProduct(UInt32)
  }

  /// Byte offset of the part that is wrong.
  public let byteOffset: Int
  /// What is wrong.
  public let reason: Reason

  /// One line with the place.
  public var description: String {
    let text =
      switch reason {
      case .truncated: "the payload is cut off"
      case .partialWord: "the payload ends inside a word"
      case .magic(let word): "magic 0x\(String(word, radix: 16)) is neither COP1 nor COP2"
      case .unknownAction(let code): "driver action \(code) is unknown"
      case .repeated: "a second stream or configuration"
      case .noConfiguration: "a stream without a configuration before it"
      case .noStream: "no command stream"
      case .misaligned: "the stream does not start at a multiple of 16 bytes"
      case .streamTooLong(let words): "a stream of \(words) words is more than hardware accepts"
      case .malformed(let what): what
      case .unknownProduct(let word):
        "configuration word 0x\(String(word, radix: 16)) names no known product"
      }
    return "payload byte \(byteOffset): \(text)"
  }
}
