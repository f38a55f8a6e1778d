/// A command stream: its words and the product that gives them meaning.
public struct CommandStream: Sendable, Hashable {
  /// The longest stream hardware accepts, in words (16 MiB).
  public static let wordLimit = 1 << 22

  /// The product.
  public let product: Product
  /// The words.
  public let words: [UInt32]

  /// A stream of `words`, which may be anything; reading checks them.
  public init(_ words: [UInt32], product: Product) {
    self.words = words
    self.product = product
  }

  /// A stream of little-endian bytes. Throws when they are no whole number of words.
  public init(bytes: some Collection<UInt8>, product: Product) throws(StreamError) {
    guard bytes.count % 4 == 0 else {
      throw StreamError(
        commandIndex: 0, byteOffset: bytes.count / 4 * 4, reason: .partialWord)
    }
    words = [UInt32](littleEndianBytes: bytes)
    self.product = product
  }

  /// A reader at the start.
  public func makeReader() -> CommandReader { CommandReader(words, product: product) }

  /// All commands. Throws at the first word that is no command of the product.
  public func decode() throws(StreamError) -> [Command] {
    var reader = makeReader()
    var commands: [Command] = []
    while let command = try reader.next() { commands.append(command) }
    return commands
  }

  /// Checks that every word is a command, that a stop command ends the stream and that hardware
  /// accepts the length.
  public func validate() throws(StreamError) {
    guard words.count <= Self.wordLimit else {
      throw StreamError(commandIndex: 0, byteOffset: 0, reason: .tooLong(words: words.count))
    }
    let last = try decode().last
    guard last?.opcode == .opStop else {
      throw StreamError(
        commandIndex: (last?.index ?? -1) + 1, byteOffset: words.count * 4, reason: .noStop)
    }
  }
}

extension [UInt32] {
  /// The words of little-endian bytes; up to three bytes left over are dropped.
  public init(littleEndianBytes bytes: some Collection<UInt8>) {
    self = []
    reserveCapacity(bytes.count / 4)
    var word: UInt32 = 0
    var place: UInt32 = 0
    for byte in bytes {
      word |= UInt32(byte) << (place * 8)
      place += 1
      if place == 4 {
        append(word)
        word = 0
        place = 0
      }
    }
  }

  /// The words as little-endian bytes.
  public var littleEndianBytes: [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(count * 4)
    for word in self {
      for shift in stride(from: UInt32(0), to: 32, by: 8) {
        bytes.append(UInt8(truncatingIfNeeded: word >> shift))
      }
    }
    return bytes
  }
}
