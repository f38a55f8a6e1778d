/// The texts of all tokens, one after the other, and the way from a text to its token.
struct PieceTable: Sendable {
  /// All pieces without separators.
  private(set) var bytes: [UInt8] = []
  /// Where each piece starts in `bytes`; one more entry ends the last.
  private(set) var offsets: [UInt32] = [0]
  /// Open addressing by hash: id + 1, or 0 for a free slot. A power of two of them.
  private var slots: [UInt32] = [0]
  private var mask = 0
  /// The length in bytes of the longest findable piece.
  private(set) var longest = 0

  /// How many pieces there are.
  var count: Int { offsets.count - 1 }

  /// An empty table.
  init() {}

  /// Adds a piece, which gets the next id.
  mutating func append(_ piece: some Collection<UInt8>) throws(TokenizerError) {
    guard piece.count <= TokenizerLimits.pieceBytes else {
      throw .limit(what: "a piece's length", value: piece.count, limit: TokenizerLimits.pieceBytes)
    }
    guard bytes.count + piece.count <= TokenizerLimits.vocabularyBytes else {
      throw .limit(
        what: "the vocabulary's size", value: bytes.count + piece.count,
        limit: TokenizerLimits.vocabularyBytes)
    }
    bytes.append(contentsOf: piece)
    offsets.append(UInt32(bytes.count))
  }

  /// Where a piece lies in `bytes`.
  @inline(__always)
  func range(_ id: Int) -> Range<Int> { Int(offsets[id])..<Int(offsets[id + 1]) }

  /// The bytes of a piece.
  func piece(_ id: Int) -> ArraySlice<UInt8> { bytes[range(id)] }

  /// The text of a piece, for messages.
  func text(_ id: Int) -> String { String(decoding: piece(id), as: UTF8.self) }

  /// Makes the pieces for which `isFindable` holds findable by their bytes.
  ///
  /// Throws `duplicatePiece` when two of them are equal.
  mutating func index(where isFindable: (Int) -> Bool) throws(TokenizerError) {
    var capacity = 16
    while capacity < count * 2 { capacity *= 2 }
    slots = [UInt32](repeating: 0, count: capacity)
    mask = capacity - 1
    longest = 0
    for id in 0..<count where isFindable(id) {
      let range = range(id)
      if range.isEmpty { continue }
      let earlier = bytes.withUnsafeBufferPointer {
        find(UnsafeBufferPointer(rebasing: $0[range]))
      }
      if let earlier { throw .duplicatePiece(text(id), first: earlier, second: id) }
      var slot = bytes.withUnsafeBufferPointer {
        Self.hash(UnsafeBufferPointer(rebasing: $0[range])) & mask
      }
      while slots[slot] != 0 { slot = (slot + 1) & mask }
      slots[slot] = UInt32(id + 1)
      longest = max(longest, range.count)
    }
  }

  @inline(__always)
  private static func hash(_ key: UnsafeBufferPointer<UInt8>) -> Int {
    var value: UInt64 = 0xCBF2_9CE4_8422_2325
    for byte in key { value = (value ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
    return Int(truncatingIfNeeded: (value ^ value >> 32) & 0x7FFF_FFFF)
  }

  /// The findable token with these bytes.
  @inline(__always)
  func find(_ key: UnsafeBufferPointer<UInt8>) -> Int? {
    if key.count > longest || key.isEmpty { return nil }
    var slot = Self.hash(key) & mask
    while true {
      let entry = slots[slot]
      if entry == 0 { return nil }
      let id = Int(entry) - 1
      let start = Int(offsets[id])
      if Int(offsets[id + 1]) - start == key.count {
        var index = 0
        while index < key.count && bytes[start + index] == key[index] { index += 1 }
        if index == key.count { return id }
      }
      slot = (slot + 1) & mask
    }
  }

  /// The findable token with these bytes.
  func find(_ key: [UInt8]) -> Int? { key.withUnsafeBufferPointer { find($0) } }
}

/// Upper bounds on what a tokenizer may hold, far above real ones (the largest known have 262,144
/// tokens), so that a damaged count cannot ask for all memory.
enum TokenizerLimits {
  /// Most tokens.
  static let tokens = 1 << 20
  /// Most merges.
  static let merges = 1 << 21
  /// Longest piece in bytes.
  static let pieceBytes = 1 << 12
  /// Most bytes of all pieces together.
  static let vocabularyBytes = 1 << 26
}
