import Support

extension Tokenizer {
  /// Reads the binary form that `blob()` writes.
  ///
  /// Any bytes are safe to give. What can be derived (the look-up tables) is derived anew and must
  /// equal what the blob holds, so that an accepted blob is exactly one that `blob()` writes.
  public init(blob: [UInt8]) throws(TokenizerError) {
    guard blob.count <= BlobReader.mostBytes else {
      throw .limit(what: "the blob's size", value: blob.count, limit: BlobReader.mostBytes)
    }
    var reader = BlobReader(cursor: ByteCursor(blob))
    self = try reader.tokenizer()
    guard self.blob() == blob else {
      throw .malformed("the look-up tables do not fit the vocabulary", offset: nil)
    }
  }
}

/// Reads the parts of a blob from which all others follow.
private struct BlobReader {
  static let mostBytes = 1 << 28

  var cursor: ByteCursor

  mutating func tokenizer() throws(TokenizerError) -> Tokenizer {
    guard try cursor.word("magic") == BlobLayout.magic else {
      throw .malformed("this is no tokenizer blob", offset: 0)
    }
    let selectors = Array(try cursor.take(4, "version"))
    guard selectors[0] == BlobLayout.version else {
      throw .unsupported("version \(selectors[0]) of the tokenizer blob")
    }
    guard let kind = Tokenizer.Kind(rawValue: selectors[1]),
      let preTokenizer = PreTokenizer(rawValue: selectors[2])
    else { throw .malformed("unknown kind or pre-tokeniser", offset: 5) }
    let width = Int(selectors[3])
    guard width == 2 || width == 4 else {
      throw .malformed("ids are \(width) bytes wide", offset: 7)
    }
    let checksum = try cursor.word("checksum")
    let total = try cursor.word("size")
    guard Int(total) == cursor.bytes.count else {
      throw .truncated(what: "end of \(total) bytes", offset: cursor.bytes.count)
    }
    guard CRC32.checksum(cursor.bytes[BlobLayout.checkedFrom...]) == checksum else {
      throw .checksum
    }
    let flags = try cursor.word("flags")
    guard let prefix = SpacePrefix(rawValue: UInt8(truncatingIfNeeded: flags >> 8)),
      flags & ~(TokenizerTraits.all.rawValue | 0x300 | 1 << 16) == 0
    else { throw .malformed("unknown flags", offset: 16) }
    let count = Int(try cursor.word("number of tokens"))
    var ids: [Int32?] = []
    for _ in 0..<4 {
      let raw = try cursor.word("special ids")
      if raw == BlobLayout.none {
        ids.append(nil)
      } else {
        guard let id = Int32(exactly: raw) else {
          throw .idOutOfRange(what: "special id", id: Int(raw), count: count)
        }
        ids.append(id)
      }
    }
    let options = TokenizerOptions(
      bos: ids[0], eos: ids[1], unknown: ids[2], padding: ids[3], addsBOS: flags & 1 << 16 != 0,
      spacePrefix: prefix)
    let mergeCount = Int(try cursor.word("number of merges"))
    guard count <= TokenizerLimits.tokens else {
      throw .limit(what: "the vocabulary", value: count, limit: TokenizerLimits.tokens)
    }
    guard mergeCount <= TokenizerLimits.merges else {
      throw .limit(what: "the number of merges", value: mergeCount, limit: TokenizerLimits.merges)
    }
    let pieces = try pieces(count)
    return try Tokenizer(
      kind: kind, preTokenizer: preTokenizer, options: options,
      traits: TokenizerTraits(rawValue: flags & TokenizerTraits.all.rawValue),
      pieces: pieces, types: try types(count),
      scoreRanks: kind == .sentencePiece ? try ranks(count, width: width) : [],
      merges: try merges(mergeCount, width: width), byteTokens: try byteTokens())
  }

  /// Goes to a section and takes its bytes.
  private mutating func section(
    _ section: BlobLayout.Section, count: Int
  ) throws(TokenizerError) -> ArraySlice<UInt8> {
    let what = "section \(section)"
    try cursor.seek(UInt32(BlobLayout.sectionsAt + section.rawValue * 4), what)
    try cursor.seek(try cursor.word(what), what)
    return try cursor.take(count, what)
  }

  private mutating func numbers(
    _ name: BlobLayout.Section, count: Int, width: Int
  ) throws(TokenizerError) -> [UInt32] {
    let bytes = try section(name, count: count * width)
    return stride(from: bytes.startIndex, to: bytes.endIndex, by: width).map { start in
      (0..<width).reversed().reduce(0) { $0 << 8 | UInt32(bytes[start + $1]) }
    }
  }

  private mutating func pieces(_ count: Int) throws(TokenizerError) -> PieceTable {
    let offsets = try numbers(.offsets, count: count + 1, width: 4)
    guard let end = offsets.last, offsets.first == 0 else {
      throw .malformed("the pieces do not start at 0", offset: nil)
    }
    let bytes = try section(.pieces, count: Int(end))
    var table = PieceTable()
    for id in 0..<count {
      guard offsets[id] <= offsets[id + 1], offsets[id + 1] <= end else {
        throw .malformed("piece \(id) ends before it starts", offset: nil)
      }
      try table.append(
        bytes[bytes.startIndex + Int(offsets[id])..<bytes.startIndex + Int(offsets[id + 1])])
    }
    return table
  }

  private mutating func types(_ count: Int) throws(TokenizerError) -> [TokenType] {
    var types: [TokenType] = []
    for (id, raw) in try section(.types, count: count).enumerated() {
      guard let type = TokenType(rawValue: raw) else {
        throw .malformed("token \(id) has the unknown type \(raw)", offset: nil)
      }
      types.append(type)
    }
    return types
  }

  private mutating func ranks(_ count: Int, width: Int) throws(TokenizerError) -> [UInt32] {
    try numbers(.ranks, count: count, width: width)
  }

  private mutating func byteTokens() throws(TokenizerError) -> [Int32] {
    try numbers(.byteTokens, count: 256, width: 4).map { Int32(bitPattern: $0) }
  }

  private mutating func merges(_ count: Int, width: Int) throws(TokenizerError) -> [Merge] {
    let numbers = try numbers(.merges, count: count * 4, width: width)
    var merges = [Merge?](repeating: nil, count: count)
    for index in 0..<count {
      let rank = Int(numbers[index * 4 + 2])
      guard rank < count, merges[rank] == nil else {
        throw .malformed("the merges' ranks are not 0 to \(count - 1)", offset: nil)
      }
      merges[rank] = Merge(
        left: numbers[index * 4], right: numbers[index * 4 + 1], result: numbers[index * 4 + 3])
    }
    return merges.compactMap { $0 }
  }
}
