extension Tokenizer {
  /// The bytes that a token adds to a text; a character may be spread over several tokens.
  ///
  /// Control and unknown tokens, which have no text of their own, give no bytes unless `special`
  /// asks for their names. An id outside the vocabulary gives none.
  public func bytes(of id: Int32, special: Bool = false) -> [UInt8] {
    guard let type = type(of: id) else { return [] }
    switch type {
    case .control, .unknown, .unused: return special ? Array(pieces.piece(Int(id))) : []
    case .normal, .userDefined, .byte: return Array(pieces.piece(Int(id)))
    }
  }

  /// The text of some tokens; bytes that are not UTF-8 become U+FFFD.
  ///
  /// - Parameters:
  ///   - special: whether control tokens appear by their names.
  ///   - atStart: whether the tokens start a text. Then the space that encoding put before the text
  ///     is taken away again, so that decoding what was encoded gives the same text. Pass false for
  ///     the tokens that continue a prompt.
  public func decode(_ ids: [Int32], special: Bool = false, atStart: Bool = true) -> String {
    var text: [UInt8] = []
    text.reserveCapacity(ids.count * 4)
    var state = PrefixState(self, atStart: atStart)
    for id in ids { text.append(contentsOf: state.bytes(of: id, in: self, special: special)) }
    return String(decoding: text, as: UTF8.self)
  }
}

/// Knows where the next space is one that encoding put there.
struct PrefixState: Sendable {
  private var isPending: Bool

  init(_ tokenizer: Tokenizer, atStart: Bool) {
    isPending = atStart && tokenizer.options.spacePrefix != .never
  }

  /// The bytes of the next token, without the space that encoding added.
  mutating func bytes(of id: Int32, in tokenizer: Tokenizer, special: Bool) -> [UInt8] {
    var bytes = tokenizer.bytes(of: id, special: special)
    switch tokenizer.type(of: id) {
    case .control, .userDefined:
      switch tokenizer.options.spacePrefix {
      case .never: break
      // Encoding puts a space after these too.
      case .always, .unlessPresent: isPending = true
      // After the start-of-text token, which no text holds, the text is still to start.
      case .firstUnlessPresent: if id != tokenizer.options.bos { isPending = false }
      }
      return bytes
    case .normal, .byte, .unknown, .unused: break
    case nil: return bytes
    }
    if isPending && !bytes.isEmpty {
      if bytes.first == 0x20 { bytes.removeFirst() }
      isPending = false
    }
    return bytes
  }
}
