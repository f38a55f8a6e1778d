import Support

extension Tokenizer {
  /// The tokenizer's binary form, for devices and packages.
  ///
  /// Little endian; every section starts at a multiple of 4. `id` is an unsigned number of `w` bytes
  /// where `w` is 2 when both the vocabulary and the merges have at most 65,536 entries, else 4.
  ///
  /// | offset | header field |
  /// |---|---|
  /// | 0 | magic `SWTK` |
  /// | 4 | version (1), kind (1 scores, 2 merges), pre-tokeniser (raw value), `w`: a byte each |
  /// | 8 | CRC-32 of the bytes from 12 to the end |
  /// | 12 | total bytes |
  /// | 16 | flags: bits 0…6 `TokenizerTraits`, bits 8…9 `SpacePrefix`, bit 16: adds start token |
  /// | 20 | number of tokens |
  /// | 24, 28, 32, 36 | start, end, unknown, padding id; 0xFFFFFFFF: none |
  /// | 40 | number of merges |
  /// | 44 | longest findable piece in bytes |
  /// | 48… | 9 section offsets, in the order below |
  /// | 84, 88, 92 | entries in the sections sorted, specials, classes |
  ///
  /// | section | content |
  /// |---|---|
  /// | offsets | u32 × (tokens + 1): where each piece starts in the section pieces |
  /// | pieces | raw bytes: spaces are spaces, byte tokens are their byte |
  /// | types | u8 × tokens: `TokenType` |
  /// | byteTokens | u32 × 256: the token of each byte, 0xFFFFFFFF: none |
  /// | sorted | id × n: the normal, non-empty pieces in order of their bytes, for binary search |
  /// | ranks | scores: id × tokens, the merging order of each piece; merges: empty |
  /// | specials | id × n: control and user-defined pieces by first byte, then longest first |
  /// | merges | (left id, right id, rank, result id) × n, sorted by left, then right |
  /// | classes | u32 × n: `code point << 2 \| class` where the class changes (0 other, 1 letter, 2 number, 3 space); empty without pre-tokeniser |
  public func blob() -> [UInt8] {
    let width = count <= 65536 && merges.merges.count <= 65536 ? 2 : 4
    let findable = sortedPieces()
    let classes = preTokenizer == .none ? [] : UnicodeClasses.changes
    var flags = traits.rawValue | UInt32(options.spacePrefix.rawValue) << 8
    if options.addsBOS { flags |= 1 << 16 }

    var writer = BlobWriter()
    writer.word(BlobLayout.magic)
    writer.bytes.append(
      contentsOf: [BlobLayout.version, kind.rawValue, preTokenizer.rawValue, UInt8(width)])
    writer.word(0)  // checksum, below
    writer.word(0)  // total, below
    writer.word(flags)
    writer.word(UInt32(count))
    for id in [options.bos, options.eos, options.unknown, options.padding] {
      writer.word(id.map { UInt32($0) } ?? BlobLayout.none)
    }
    writer.word(UInt32(merges.merges.count))
    writer.word(UInt32(pieces.longest))
    for _ in BlobLayout.Section.allCases { writer.word(0) }
    for number in [findable.count, specials.ids.count, classes.count] {
      writer.word(UInt32(number))
    }

    for section in BlobLayout.Section.allCases {
      writer.align()
      writer.put(UInt32(writer.bytes.count), at: BlobLayout.sectionsAt + section.rawValue * 4)
      switch section {
      case .offsets: for offset in pieces.offsets { writer.word(offset) }
      case .pieces: writer.bytes.append(contentsOf: pieces.bytes)
      case .types: writer.bytes.append(contentsOf: types.map(\.rawValue))
      case .byteTokens: for id in byteTokens { writer.word(UInt32(bitPattern: id)) }
      case .sorted: for id in findable { writer.id(id, width: width) }
      case .ranks: for rank in scoreRanks { writer.id(rank, width: width) }
      case .specials: for id in specials.ids { writer.id(id, width: width) }
      case .merges:
        let order = merges.merges.indices.sorted {
          let (a, b) = (merges.merges[$0], merges.merges[$1])
          return a.left != b.left ? a.left < b.left : a.right < b.right
        }
        for rank in order {
          let merge = merges.merges[rank]
          for number in [merge.left, merge.right, UInt32(rank), merge.result] {
            writer.id(number, width: width)
          }
        }
      case .classes: for change in classes { writer.word(change) }
      }
    }
    writer.align()
    writer.put(UInt32(writer.bytes.count), at: 12)
    writer.put(CRC32.checksum(writer.bytes[BlobLayout.checkedFrom...]), at: 8)
    return writer.bytes
  }

  private func sortedPieces() -> [UInt32] {
    let findable = types.indices.filter { types[$0] == .normal && !pieces.range($0).isEmpty }
    return findable.sorted { pieces.piece($0).lexicographicallyPrecedes(pieces.piece($1)) }
      .map { UInt32($0) }
  }
}

/// Appends little-endian numbers.
private struct BlobWriter {
  var bytes: [UInt8] = []

  mutating func word(_ value: UInt32) { id(value, width: 4) }

  mutating func id(_ value: UInt32, width: Int) {
    for index in 0..<width { bytes.append(UInt8(truncatingIfNeeded: value >> (8 * index))) }
  }

  mutating func align() { while bytes.count % 4 != 0 { bytes.append(0) } }

  mutating func put(_ value: UInt32, at offset: Int) {
    for index in 0..<4 { bytes[offset + index] = UInt8(truncatingIfNeeded: value >> (8 * index)) }
  }
}
