/// One merge of byte-pair encoding: two adjacent tokens become one.
struct Merge: Sendable, Hashable {
  /// The token on the left.
  var left: UInt32
  /// The token on the right.
  var right: UInt32
  /// The token that replaces both.
  var result: UInt32
}

/// The merges of byte-pair encoding by pair. Their position in the list is their rank: lower first.
struct MergeTable: Sendable {
  /// All merges by rank.
  let merges: [Merge]
  private var keys: [UInt64]
  private var ranks: [UInt32]
  private let mask: Int

  private static let free = UInt64.max

  /// Builds the table.
  ///
  /// Throws `duplicateMerge` when a pair occurs twice, `limit` when there are too many.
  init(_ merges: [Merge]) throws(TokenizerError) {
    guard merges.count <= TokenizerLimits.merges else {
      throw .limit(
        what: "the number of merges", value: merges.count, limit: TokenizerLimits.merges)
    }
    self.merges = merges
    var capacity = 16
    while capacity < merges.count * 2 { capacity *= 2 }
    mask = capacity - 1
    keys = [UInt64](repeating: Self.free, count: capacity)
    ranks = [UInt32](repeating: 0, count: capacity)
    for (rank, merge) in merges.enumerated() {
      let key = UInt64(merge.left) << 32 | UInt64(merge.right)
      var slot = Self.hash(key) & mask
      while keys[slot] != Self.free {
        if keys[slot] == key { throw .duplicateMerge(index: rank) }
        slot = (slot + 1) & mask
      }
      keys[slot] = key
      ranks[slot] = UInt32(rank)
    }
  }

  @inline(__always)
  private static func hash(_ key: UInt64) -> Int {
    let mixed = (key ^ key >> 29) &* 0x9E37_79B9_7F4A_7C15
    return Int(truncatingIfNeeded: mixed >> 33)
  }

  /// The rank of a pair, or nil when it does not merge.
  @inline(__always)
  func rank(_ left: UInt32, _ right: UInt32) -> UInt32? {
    let key = UInt64(left) << 32 | UInt64(right)
    var slot = Self.hash(key) & mask
    while true {
      let found = keys[slot]
      if found == key { return ranks[slot] }
      if found == Self.free { return nil }
      slot = (slot + 1) & mask
    }
  }
}
