/// Decodes a stream command by command; costs no allocation per command.
///
/// Goes on after OP_STOP, because a listing names every word: callers that execute stop themselves.
public struct CommandReader: Sendable {
  /// The product whose commands are read.
  public let product: Product
  /// Position of the next command among the commands.
  public private(set) var commandIndex = 0
  /// Position of the next command in words.
  public private(set) var wordIndex = 0
  private let words: [UInt32]
  private let opcodes: [UInt8]
  private let reserved: [UInt64]

  /// A reader at the start of `words`.
  public init(_ words: [UInt32], product: Product) {
    let set = InstructionSet.of(product)
    self.product = product
    self.words = words
    opcodes = set.opcodeOfNumber
    reserved = set.reservedOfOpcode
  }

  /// Continues at `byteOffset`, the target of a branch; false when it is no word of the stream.
  ///
  /// The command index counts the commands read so far from there on.
  public mutating func seek(toByte byteOffset: Int) -> Bool {
    guard byteOffset >= 0, byteOffset % 4 == 0, byteOffset / 4 < words.count else { return false }
    wordIndex = byteOffset / 4
    return true
  }

  /// The next command; nil at the end.
  public mutating func next() throws(StreamError) -> Command? {
    guard wordIndex < words.count else { return nil }
    let first = words[wordIndex]
    let control = first >> 14 & 3
    guard control < 2 else { throw error(.control(control)) }
    let code = opcodes[Int(first & 0x3FF | control << 10)]
    guard let opcode = Opcode(rawValue: code) else {
      throw error(.unknownOpcode(number: first & 0x3FF, words: Int(control) + 1))
    }
    var payload: UInt32 = 0
    if control == 1 {
      guard wordIndex + 1 < words.count else { throw error(.truncated(opcode)) }
      payload = words[wordIndex + 1]
    }
    let bits = UInt64(payload) << 32 | UInt64(first)
    // Bits 13 to 10 belong to no field of any command.
    let wrong = bits & (reserved[Int(code)] | 0x3C00)
    guard wrong == 0 else { throw error(.reservedBits(opcode, wrong)) }
    let command = Command(
      index: commandIndex, byteOffset: wordIndex * 4, opcode: opcode, firstWord: first,
      payload: payload)
    commandIndex &+= 1
    wordIndex &+= 1 &+ Int(control)
    return command
  }

  private func error(_ reason: StreamError.Reason) -> StreamError {
    StreamError(commandIndex: commandIndex, byteOffset: wordIndex * 4, reason: reason)
  }
}
