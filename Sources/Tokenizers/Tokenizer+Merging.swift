extension Tokenizer {
  /// A byte-level tokenizer from a vocabulary and merges in GPT-2's printable alphabet, as GGUF's
  /// model `gpt2` holds them.
  ///
  /// - Parameters:
  ///   - vocabulary: the pieces by id.
  ///   - types: GGUF token types; nil: `control` for what is not in the alphabet or named in
  ///     `options`, else `normal`.
  ///   - merges: two pieces separated by one space each, by rank.
  ///   - wholeWordFirst: whether a word that is a piece needs no merges (Llama 3).
  public init(
    vocabulary: [String], types: [TokenType]? = nil, merges: [String],
    preTokenizer: PreTokenizer, options: TokenizerOptions, wholeWordFirst: Bool = false
  ) throws(TokenizerError) {
    var pairs: [(String, String)] = []
    pairs.reserveCapacity(min(merges.count, TokenizerLimits.merges))
    for (index, merge) in merges.enumerated() {
      pairs.append(try Self.splitMerge(merge, index: index))
    }
    try self.init(
      vocabulary: vocabulary, types: types, pairs: pairs, preTokenizer: preTokenizer,
      options: options, traits: wholeWordFirst ? [.byteLevel, .wholeWordFirst] : [.byteLevel])
  }

  /// The two pieces of a merge written as one string.
  static func splitMerge(_ merge: String, index: Int) throws(TokenizerError) -> (String, String) {
    let bytes = Array(merge.utf8)
    guard let space = bytes.firstIndex(of: 0x20), space > 0, space + 1 < bytes.count,
      !bytes[(space + 1)...].contains(0x20)
    else {
      throw .malformed("merge \(index), “\(merge)”, is not two pieces", offset: nil)
    }
    return (
      String(decoding: bytes[..<space], as: UTF8.self),
      String(decoding: bytes[(space + 1)...], as: UTF8.self)
    )
  }

  /// Any merging tokenizer: byte-level ones per `traits`, and those that merge characters.
  init(
    vocabulary: [String], types: [TokenType]?, pairs: [(String, String)],
    preTokenizer: PreTokenizer, options: TokenizerOptions, traits: TokenizerTraits,
    hasByteTokens: Bool = false
  ) throws(TokenizerError) {
    let count = vocabulary.count
    guard count <= TokenizerLimits.tokens else {
      throw .limit(what: "the vocabulary", value: count, limit: TokenizerLimits.tokens)
    }
    guard pairs.count <= TokenizerLimits.merges else {
      throw .limit(what: "the number of merges", value: pairs.count, limit: TokenizerLimits.merges)
    }
    if let types, types.count != count {
      throw .vocabularyMismatch(what: "token types", expected: count, found: types.count)
    }
    let byteLevel = traits.contains(.byteLevel)
    var table = PieceTable()
    var kinds: [TokenType] = []
    var byteTokens = [Int32](repeating: -1, count: 256)
    // Keyed by UTF-8: Swift strings that are canonically equivalent are equal, pieces are not.
    var ids: [[UInt8]: Int] = [:]
    ids.reserveCapacity(count)
    let named = [options.bos, options.eos, options.padding]
    for (id, word) in vocabulary.enumerated() {
      let decoded = byteLevel ? ByteLevelAlphabet.decode(word) : nil
      let isNamed = named.contains(Int32(truncatingIfNeeded: id))
      var kind = types?[id] ?? (isNamed || (byteLevel && decoded == nil) ? .control : .normal)
      var raw = Array(word.utf8)
      if byteLevel {
        if kind == .byte { kind = .normal }
        if kind == .normal, let decoded { raw = decoded }
        if kind == .normal, raw.count == 1, decoded != nil { byteTokens[Int(raw[0])] = Int32(id) }
      } else if hasByteTokens && kind == .normal, let byte = Self.byteName(raw) {
        kind = .byte
        raw = [byte]
        byteTokens[Int(byte)] = Int32(id)
      } else if kind == .normal || kind == .userDefined, traits.contains(.lowLineIsSpace) {
        raw = Self.replacingLowLines(raw)
      }
      kinds.append(kind)
      try table.append(raw)
      if kind == .normal {
        // A merge means the normal piece even where a special token is spelled the same.
        if let earlier = ids[Array(word.utf8)], kinds[earlier] == .normal {
          throw .duplicatePiece(word, first: earlier, second: id)
        }
        ids[Array(word.utf8)] = id
      } else if ids[Array(word.utf8)] == nil {
        ids[Array(word.utf8)] = id
      }
    }
    var merges: [Merge] = []
    merges.reserveCapacity(pairs.count)
    for (index, pair) in pairs.enumerated() {
      func id(_ piece: String) throws(TokenizerError) -> UInt32 {
        guard let id = ids[Array(piece.utf8)] else {
          throw .missingMergePart(index: index, piece: piece)
        }
        return UInt32(id)
      }
      let left = try id(pair.0)
      let right = try id(pair.1)
      merges.append(Merge(left: left, right: right, result: try id(pair.0 + pair.1)))
    }
    try self.init(
      kind: .bytePairEncoding, preTokenizer: preTokenizer, options: options, traits: traits,
      pieces: table, types: kinds, scoreRanks: [], merges: merges, byteTokens: byteTokens)
  }
}
