extension Tokenizer {
  /// A SentencePiece-like tokenizer from parallel arrays, as GGUF's model `llama` holds them.
  ///
  /// Pieces write a space as U+2581 (or as a space); byte tokens are written `<0x0A>`.
  ///
  /// - Parameters:
  ///   - scores: the higher, the earlier a pair that gives this piece merges.
  ///   - types: GGUF token types; nil tells them from the pieces (`<0xNN>`: byte, `<s>`, `</s>` and
  ///     the named options: control, `<unk>`: unknown).
  ///   - lowLineIsSpace: whether U+2581 in text is taken for a space, as SentencePiece does.
  public init(
    pieces texts: [String], scores: [Float], types: [TokenType]? = nil,
    options: TokenizerOptions, lowLineIsSpace: Bool = true
  ) throws(TokenizerError) {
    try self.init(
      rawPieces: texts.map { Array($0.utf8) }, scores: scores, types: types, options: options,
      lowLineIsSpace: lowLineIsSpace)
  }

  /// The same from pieces as bytes, which need not be UTF-8.
  init(
    rawPieces: [[UInt8]], scores: [Float], types: [TokenType]?, options: TokenizerOptions,
    lowLineIsSpace: Bool
  ) throws(TokenizerError) {
    let count = rawPieces.count
    guard count <= TokenizerLimits.tokens else {
      throw .limit(what: "the vocabulary", value: count, limit: TokenizerLimits.tokens)
    }
    guard scores.count == count else {
      throw .vocabularyMismatch(what: "scores", expected: count, found: scores.count)
    }
    if let types, types.count != count {
      throw .vocabularyMismatch(what: "token types", expected: count, found: types.count)
    }
    var table = PieceTable()
    var kinds: [TokenType] = []
    var byteTokens = [Int32](repeating: -1, count: 256)
    for (id, raw) in rawPieces.enumerated() {
      let kind = types?[id] ?? Self.guessType(raw, id: id, options: options)
      kinds.append(kind)
      if kind == .byte {
        guard let byte = Self.byteName(raw) else {
          throw .malformed(
            "byte token \(id) is called “\(String(decoding: raw, as: UTF8.self))”", offset: nil)
        }
        if byteTokens[Int(byte)] >= 0 {
          throw .duplicatePiece(
            String(decoding: raw, as: UTF8.self), first: Int(byteTokens[Int(byte)]), second: id)
        }
        byteTokens[Int(byte)] = Int32(id)
        try table.append(CollectionOfOne(byte))
      } else if kind == .normal || kind == .userDefined {
        try table.append(Self.replacingLowLines(raw))
      } else {
        try table.append(raw)
      }
    }
    var traits: TokenizerTraits = lowLineIsSpace ? [.lowLineIsSpace] : []
    if options.unknown != nil { traits.insert(.emitsUnknown) }
    try self.init(
      kind: .sentencePiece, preTokenizer: .none, options: options, traits: traits, pieces: table,
      types: kinds, scoreRanks: Self.ranks(of: scores), merges: [], byteTokens: byteTokens)
  }

  /// The merging order that scores mean: 0 for the highest, equal for equal ones.
  private static func ranks(of scores: [Float]) throws(TokenizerError) -> [UInt32] {
    for (id, score) in scores.enumerated() where !score.isFinite { throw .badScore(id: id) }
    let order = scores.indices.sorted { scores[$0] > scores[$1] }
    var ranks = [UInt32](repeating: 0, count: scores.count)
    var rank: UInt32 = 0
    for (position, id) in order.enumerated() {
      if position > 0 && scores[id] != scores[order[position - 1]] { rank += 1 }
      ranks[id] = rank
    }
    return ranks
  }

  private static func guessType(_ raw: [UInt8], id: Int, options: TokenizerOptions) -> TokenType {
    if byteName(raw) != nil { return .byte }
    if raw.elementsEqual("<unk>".utf8) { return .unknown }
    if raw.elementsEqual("<s>".utf8) || raw.elementsEqual("</s>".utf8) { return .control }
    let named = [options.bos, options.eos, options.padding]
    return named.contains(Int32(truncatingIfNeeded: id)) ? .control : .normal
  }

  /// The byte that a name such as `<0x0A>` stands for.
  static func byteName(_ raw: some Collection<UInt8>) -> UInt8? {
    let raw = Array(raw)
    guard raw.count == 6, raw.starts(with: "<0x".utf8), raw[5] == UInt8(ascii: ">") else {
      return nil
    }
    func digit(_ byte: UInt8) -> UInt8? {
      switch byte {
      case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
      case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
      case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
      default: nil
      }
    }
    guard let high = digit(raw[3]), let low = digit(raw[4]) else { return nil }
    return high << 4 | low
  }

  /// The bytes with each U+2581 replaced by a space.
  static func replacingLowLines(_ raw: [UInt8]) -> [UInt8] {
    guard raw.contains(0xE2) else { return raw }
    var result: [UInt8] = []
    var index = 0
    while index < raw.count {
      if raw.count - index >= 3 && raw[index] == 0xE2 && raw[index + 1] == 0x96
        && raw[index + 2] == 0x81
      {
        result.append(0x20)
        index += 3
      } else {
        result.append(raw[index])
        index += 1
      }
    }
    return result
  }
}
