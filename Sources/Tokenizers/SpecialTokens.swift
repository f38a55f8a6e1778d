/// Tokens that are found in text before anything is merged: control tokens, when they are wanted,
/// and user-defined ones always. At one place the longest wins.
struct SpecialTokens: Sendable {
  /// The ids by first byte, then longest first, then by bytes, then by id.
  let ids: [UInt32]
  /// Where the ids of each first byte start; 257 entries.
  private let buckets: [Int]
  /// First bytes of user-defined tokens, and of those and control tokens.
  private let startsUserDefined: [Bool]
  private let startsAny: [Bool]

  /// Collects the special tokens of a vocabulary; empty pieces are left out.
  init(pieces: PieceTable, types: [TokenType]) {
    var found: [UInt32] = []
    for (id, type) in types.enumerated() where type == .control || type == .userDefined {
      if !pieces.range(id).isEmpty { found.append(UInt32(id)) }
    }
    found.sort { a, b in
      let (x, y) = (pieces.piece(Int(a)), pieces.piece(Int(b)))
      if x.first != y.first { return x.first ?? 0 < y.first ?? 0 }
      if x.count != y.count { return x.count > y.count }
      if x != y { return x.lexicographicallyPrecedes(y) }
      return a < b
    }
    ids = found
    var buckets = [Int](repeating: 0, count: 257)
    var userDefined = [Bool](repeating: false, count: 256)
    var any = userDefined
    for id in found {
      let first = Int(pieces.piece(Int(id)).first ?? 0)
      buckets[first + 1] += 1
      any[first] = true
      if types[Int(id)] == .userDefined { userDefined[first] = true }
    }
    for index in 1...256 { buckets[index] += buckets[index - 1] }
    self.buckets = buckets
    startsUserDefined = userDefined
    startsAny = any
  }

  /// The first special token at or after `start`: its place and id.
  func next(
    in text: UnsafeBufferPointer<UInt8>, from start: Int, control: Bool, pieces: PieceTable,
    types: [TokenType]
  ) -> (start: Int, end: Int, id: Int32)? {
    if ids.isEmpty { return nil }
    let starts = control ? startsAny : startsUserDefined
    for index in start..<text.count {
      let first = Int(text[index])
      guard starts[first] else { continue }
      for id in ids[buckets[first]..<buckets[first + 1]] {
        let range = pieces.range(Int(id))
        guard control || types[Int(id)] == .userDefined, range.count <= text.count - index else {
          continue
        }
        var length = 1
        while length < range.count
          && pieces.bytes[range.lowerBound + length] == text[index + length]
        { length += 1 }
        if length == range.count { return (index, index + length, Int32(id)) }
      }
    }
    return nil
  }

  /// The special token with exactly these bytes, the lowest id if there are several.
  func find(_ key: [UInt8], in pieces: PieceTable) -> Int32? {
    guard let first = key.first else { return nil }
    return ids[buckets[Int(first)]..<buckets[Int(first) + 1]]
      .first { pieces.piece(Int($0)).elementsEqual(key) }.map { Int32($0) }
  }
}
