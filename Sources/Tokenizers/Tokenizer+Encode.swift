extension Tokenizer {
  /// The ids of a text.
  ///
  /// - Parameters:
  ///   - addBOS: whether to start with the start-of-text token; nil leaves it to the model.
  ///   - parseSpecial: whether control tokens written out in the text (`<|im_end|>`) become those
  ///     tokens. Off, they are text like any other; user-defined tokens are found in both cases.
  public func encode(
    _ text: String, addBOS: Bool? = nil, parseSpecial: Bool = true
  ) -> [Int32] {
    var text = text
    return text.withUTF8 { encode(utf8: $0, addBOS: addBOS, parseSpecial: parseSpecial) }
  }

  /// The ids of a text in UTF-8. Bytes that are not UTF-8 are taken one by one.
  public func encode(
    utf8 text: UnsafeBufferPointer<UInt8>, addBOS: Bool? = nil, parseSpecial: Bool = true
  ) -> [Int32] {
    var encoder = Encoder(self, reserving: text.count / 3 + 2)
    if addBOS ?? options.addsBOS, let bos = options.bos { encoder.ids.append(bos) }
    var start = 0
    var isFirst = true
    while start < text.count {
      let special = specials.next(
        in: text, from: start, control: parseSpecial, pieces: pieces, types: types)
      let end = special?.start ?? text.count
      if end > start {
        encoder.encode(UnsafeBufferPointer(rebasing: text[start..<end]), isFirst: isFirst)
      }
      if let special { encoder.ids.append(special.id) }
      start = special?.end ?? text.count
      isFirst = false
    }
    return encoder.ids
  }
}

/// Encodes runs of text that hold no special tokens.
private struct Encoder: ~Copyable {
  let tokenizer: Tokenizer
  var ids: [Int32] = []
  private var merger = SymbolMerger()
  /// The characters of the current word, spaces normalised.
  private var word: [UInt8] = []

  init(_ tokenizer: Tokenizer, reserving capacity: Int) {
    self.tokenizer = tokenizer
    ids.reserveCapacity(capacity)
  }

  /// Encodes a run of text. `isFirst` tells the start of the whole text.
  mutating func encode(_ text: UnsafeBufferPointer<UInt8>, isFirst: Bool) {
    if tokenizer.traits.contains(.byteLevel) {
      var start = 0
      while start < text.count {
        let end = tokenizer.preTokenizer.wordEnd(text, from: start, to: text.count)
        encodeBytes(UnsafeBufferPointer(rebasing: text[start..<end]))
        start = end
      }
      return
    }
    let traits = tokenizer.traits
    word.removeAll(keepingCapacity: true)
    let startsWithSpace = text[0] == 0x20 || isLowLine(text, 0)
    switch tokenizer.options.spacePrefix {
    case .never: break
    case .always: word.append(0x20)
    case .unlessPresent: if !startsWithSpace { word.append(0x20) }
    case .firstUnlessPresent: if isFirst && !startsWithSpace { word.append(0x20) }
    }
    var index = 0
    while index < text.count {
      var byte = text[index]
      var length = 1
      if byte == 0xE2 && isLowLine(text, index) {
        byte = 0x20
        length = 3
      }
      if byte == 0x20, let last = word.last,
        traits.contains(.cutsEverySpace) || (traits.contains(.cutsBeforeSpaces) && last != 0x20)
      {
        encodeWord()
      }
      word.append(byte)
      index += length
    }
    if !word.isEmpty { encodeWord() }
  }

  @inline(__always)
  private func isLowLine(_ text: UnsafeBufferPointer<UInt8>, _ index: Int) -> Bool {
    tokenizer.traits.contains(.lowLineIsSpace) && text.count - index >= 3
      && text[index] == 0xE2 && text[index + 1] == 0x96 && text[index + 2] == 0x81
  }

  /// Byte-level: each byte is a symbol.
  private mutating func encodeBytes(_ bytes: UnsafeBufferPointer<UInt8>) {
    if tokenizer.traits.contains(.wholeWordFirst), let id = tokenizer.pieces.find(bytes) {
      ids.append(Int32(truncatingIfNeeded: id))
      return
    }
    merger.begin(most: bytes.count)
    for byte in bytes { appendByte(byte) }
    mergePairs(length: bytes.count)
  }

  /// Adds the symbol of one byte, or what stands for it when it has no token.
  private mutating func appendByte(_ byte: UInt8) {
    let id = tokenizer.byteTokens[Int(byte)]
    if id >= 0 {
      merger.append(start: 0, token: UInt32(id))
    } else if tokenizer.traits.contains(.emitsUnknown), let unknown = tokenizer.options.unknown {
      if tokenizer.traits.contains(.fusesUnknown), merger.count > 0,
        merger.token[merger.count - 1] == UInt32(unknown)
      {
        return
      }
      merger.append(start: 0, token: UInt32(unknown))
    }
  }

  private mutating func mergePairs(length: Int) {
    let table = tokenizer.merges
    merger.merge(length: length) { left, right, _, _ in
      guard let rank = table.rank(left, right) else {
        return (SymbolMerger.none, SymbolMerger.none)
      }
      return (rank, table.merges[Int(rank)].result)
    }
    if merger.count == 0 { return }
    var symbol = UInt32(0)
    while symbol != SymbolMerger.none {
      ids.append(Int32(truncatingIfNeeded: merger.token[Int(symbol)]))
      symbol = merger.next[Int(symbol)]
    }
  }

  /// Encodes `word` and empties it: each character is a symbol.
  private mutating func encodeWord() {
    word.append(0)
    let bytes = word
    bytes.withUnsafeBufferPointer {
      encodeCharacters(UnsafeBufferPointer(rebasing: $0[..<($0.count - 1)]))
    }
    word.removeAll(keepingCapacity: true)
  }

  private mutating func encodeCharacters(_ bytes: UnsafeBufferPointer<UInt8>) {
    let pieces = tokenizer.pieces
    merger.begin(most: bytes.count)
    let byScore = tokenizer.kind == .sentencePiece
    if !byScore && tokenizer.traits.contains(.wholeWordFirst), let id = pieces.find(bytes) {
      ids.append(Int32(truncatingIfNeeded: id))
      return
    }
    var index = 0
    while index < bytes.count {
      let length = UTF8Character(bytes, at: index, end: bytes.count).count
      let key = UnsafeBufferPointer(rebasing: bytes[index..<index + length])
      if let id = pieces.find(key) {
        merger.append(start: index, token: UInt32(truncatingIfNeeded: id))
      } else if byScore {
        merger.append(start: index, token: SymbolMerger.none)
      } else {
        appendFallback(key)
      }
      index += length
    }
    if byScore { mergeByScore(bytes) } else { mergePairs(length: bytes.count) }
  }

  /// Adds a character without piece as its bytes when all of them have tokens, else as unknown.
  private mutating func appendFallback(_ character: UnsafeBufferPointer<UInt8>) {
    if character.allSatisfy({ tokenizer.byteTokens[Int($0)] >= 0 }) {
      for byte in character { appendByte(byte) }
    } else if tokenizer.traits.contains(.emitsUnknown), let unknown = tokenizer.options.unknown {
      if tokenizer.traits.contains(.fusesUnknown), merger.count > 0,
        merger.token[merger.count - 1] == UInt32(unknown)
      {
        return
      }
      merger.append(start: 0, token: UInt32(unknown))
    }
  }

  private mutating func mergeByScore(_ bytes: UnsafeBufferPointer<UInt8>) {
    let pieces = tokenizer.pieces
    let ranks = tokenizer.scoreRanks
    merger.merge(length: bytes.count) { _, _, start, end in
      guard let id = pieces.find(UnsafeBufferPointer(rebasing: bytes[start..<end])) else {
        return (SymbolMerger.none, SymbolMerger.none)
      }
      return (ranks[id], UInt32(truncatingIfNeeded: id))
    }
    var symbol = UInt32(0)
    while symbol != SymbolMerger.none {
      let following = merger.next[Int(symbol)]
      let token = merger.token[Int(symbol)]
      if token != SymbolMerger.none {
        ids.append(Int32(truncatingIfNeeded: token))
      } else {
        // A symbol without token is one character that never merged.
        let start = Int(merger.start[Int(symbol)])
        let end = following == SymbolMerger.none ? bytes.count : Int(merger.start[Int(following)])
        let character = UnsafeBufferPointer(rebasing: bytes[start..<end])
        if character.allSatisfy({ tokenizer.byteTokens[Int($0)] >= 0 }) {
          for byte in character { ids.append(tokenizer.byteTokens[Int(byte)]) }
        } else if tokenizer.traits.contains(.emitsUnknown),
          let unknown = tokenizer.options.unknown
        {
          ids.append(unknown)
        }
      }
      symbol = following
    }
  }
}
