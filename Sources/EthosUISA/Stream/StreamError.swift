/// Words that are no command stream, and where.
public struct StreamError: Error, Sendable, Hashable, CustomStringConvertible {
  /// What is wrong.
  public enum Reason: Sendable, Hashable {
    /// The byte count is no multiple of 4.
    case partialWord
    /// Bits 15 and 14 hold something other than 0 (one word) or 1 (two words).
    case control(UInt32)
    /// No command of the product has this number; `words` is 1 for cmd0 and 2 for cmd1.
    case unknownOpcode(number: UInt32, words: Int)
    /// Bits that must be 0 are not: the first word's in the low half.
    case reservedBits(Opcode, UInt64)
    /// A command of two words is cut off after the first.
    case truncated(Opcode)
    /// The stream ends without a stop command.
    case noStop
    /// The stream is longer than hardware accepts.
    case tooLong(words: Int)
  }

  /// Position among the commands.
  public let commandIndex: Int
  /// Byte offset in the stream.
  public let byteOffset: Int
  /// What is wrong.
  public let reason: Reason

  /// An error at a place.
  public init(commandIndex: Int, byteOffset: Int, reason: Reason) {
    self.commandIndex = commandIndex
    self.byteOffset = byteOffset
    self.reason = reason
  }

  /// One line with the place.
  public var description: String {
    "command \(commandIndex) at byte \(byteOffset): " + reasonText
  }

  private var reasonText: String {
    func hex(_ value: UInt64) -> String { "0x" + String(value, radix: 16) }
    switch reason {
    case .partialWord: return "the stream ends inside a word"
    case .control(let value): return "control bits are \(value), must be 0 or 1"
    case .unknownOpcode(let number, let words): return "no cmd\(words - 1) has number \(number)"
    case .reservedBits(let opcode, let bits):
      return "\(opcode.name) has reserved bits \(hex(bits)) set"
    case .truncated(let opcode): return "\(opcode.name) lacks its second word"
    case .noStop: return "the stream ends without OP_STOP"
    case .tooLong(let words): return "\(words) words are more than hardware accepts"
    }
  }
}
