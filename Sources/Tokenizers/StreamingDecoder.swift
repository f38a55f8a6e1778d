/// Turns tokens into text one at a time, holding back the bytes of a character until it is complete.
public struct StreamingDecoder: Sendable {
  private let tokenizer: Tokenizer
  private let special: Bool
  private var prefix: PrefixState
  private var held: [UInt8] = []

  /// A decoder for the tokens that follow a prompt, or, with `atStart`, for a text from its start.
  ///
  /// - Parameter special: whether control tokens appear by their names.
  public init(_ tokenizer: Tokenizer, special: Bool = false, atStart: Bool = false) {
    self.tokenizer = tokenizer
    self.special = special
    prefix = PrefixState(tokenizer, atStart: atStart)
  }

  /// The text that is complete with one more token; often empty in the middle of a character.
  public mutating func append(_ id: Int32) -> String {
    held.append(contentsOf: prefix.bytes(of: id, in: tokenizer, special: special))
    let tail = Self.incompleteTail(held)
    let text = String(decoding: held.dropLast(tail), as: UTF8.self)
    held.removeFirst(held.count - tail)
    return text
  }

  /// What is left when no more tokens come: a cut-off character becomes U+FFFD.
  public mutating func finish() -> String {
    defer { held.removeAll() }
    return String(decoding: held, as: UTF8.self)
  }

  /// How many bytes at the end start a character that more bytes could complete: 0 to 3.
  static func incompleteTail(_ bytes: [UInt8]) -> Int {
    for back in 1...3 where back <= bytes.count {
      let byte = bytes[bytes.count - back]
      if byte & 0xC0 == 0x80 { continue }
      let length =
        byte >= 0xF0 && byte < 0xF5
        ? 4 : byte >= 0xE0 && byte < 0xF0 ? 3 : byte >= 0xC2 && byte < 0xE0 ? 2 : 1
      return length > back ? back : 0
    }
    return 0
  }
}
