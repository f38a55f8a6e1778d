/// Working memory for merging the symbols of one word, used again for the next.
///
/// The symbols form a list linked by index. Each knows the rank of merging it with the one that
/// follows; a tournament tree over the symbols holds the index of the lowest rank, the leftmost on a
/// tie, so that each merge costs three updates of logarithmic depth. The C tokenizer works the same.
struct SymbolMerger: ~Copyable {
  /// "No symbol", "no merge", "no token".
  static let none = UInt32.max

  private static let fieldCount = 7
  private var capacity = 0
  private var storage: UnsafeMutablePointer<UInt32>
  /// How many symbols the current word has.
  private(set) var count = 0

  /// Where each symbol starts in the word's bytes.
  private(set) var start: UnsafeMutablePointer<UInt32>
  /// The token of each symbol, or `none`.
  private(set) var token: UnsafeMutablePointer<UInt32>
  private var previous: UnsafeMutablePointer<UInt32>
  /// The symbol that follows, or `none`. Symbol 0 is never merged away.
  private(set) var next: UnsafeMutablePointer<UInt32>
  private var rank: UnsafeMutablePointer<UInt32>
  private var result: UnsafeMutablePointer<UInt32>
  private var tree: UnsafeMutablePointer<UInt32>

  /// Room for short words.
  init() {
    let capacity = 64
    self.capacity = capacity
    storage = .allocate(capacity: capacity * Self.fieldCount)
    start = storage
    token = storage + capacity
    previous = storage + capacity * 2
    next = storage + capacity * 3
    rank = storage + capacity * 4
    result = storage + capacity * 5
    tree = storage + capacity * 6
  }

  deinit { storage.deallocate() }

  /// Starts a word of at most `most` symbols.
  mutating func begin(most: Int) {
    count = 0
    if most <= capacity { return }
    storage.deallocate()
    capacity = most * 2
    storage = .allocate(capacity: capacity * Self.fieldCount)
    start = storage
    token = storage + capacity
    previous = storage + capacity * 2
    next = storage + capacity * 3
    rank = storage + capacity * 4
    result = storage + capacity * 5
    tree = storage + capacity * 6
  }

  /// Adds a symbol. Must not be called more often than `begin` was told.
  @inline(__always)
  mutating func append(start offset: Int, token id: UInt32) {
    start[count] = UInt32(truncatingIfNeeded: offset)
    token[count] = id
    count += 1
  }

  /// The index of the winner below a node: leaves are the nodes `count ..< 2 * count`.
  @inline(__always)
  private func winner(_ node: Int) -> UInt32 {
    node >= count ? UInt32(truncatingIfNeeded: node - count) : tree[node]
  }

  @inline(__always)
  private func play(_ node: Int) {
    let a = winner(node * 2)
    let b = winner(node * 2 + 1)
    let rankA = rank[Int(a)]
    let rankB = rank[Int(b)]
    tree[node] = rankA < rankB || (rankA == rankB && a < b) ? a : b
  }

  @inline(__always)
  private func update(_ symbol: Int) {
    var node = (symbol + count) / 2
    while node >= 1 {
      play(node)
      node /= 2
    }
  }

  /// Merges until nothing merges. `length` is the word's length in bytes; `evaluate` gives the rank
  /// and the resulting token of merging two adjacent symbols, told by their tokens and by the bytes
  /// they cover together (if their starts are told), or the rank `none`.
  @inline(__always)
  mutating func merge(
    length: Int,
    evaluate: (_ left: UInt32, _ right: UInt32, _ start: Int, _ end: Int) -> (UInt32, UInt32)
  ) {
    guard count > 0 else { return }
    for index in 0..<count {
      previous[index] = index == 0 ? Self.none : UInt32(index - 1)
      next[index] = index + 1 == count ? Self.none : UInt32(index + 1)
    }
    for index in 0..<count { rate(index, length: length, evaluate: evaluate) }
    guard count > 1 else { return }
    var node = count - 1
    while node >= 1 {
      play(node)
      node -= 1
    }
    while true {
      let left = Int(tree[1])
      if rank[left] == Self.none { return }
      let right = Int(next[left])
      token[left] = result[left]
      next[left] = next[right]
      if next[left] != Self.none { previous[Int(next[left])] = UInt32(left) }
      rank[right] = Self.none
      update(right)
      rate(left, length: length, evaluate: evaluate)
      update(left)
      if previous[left] != Self.none {
        let before = Int(previous[left])
        rate(before, length: length, evaluate: evaluate)
        update(before)
      }
    }
  }

  @inline(__always)
  private func rate(
    _ index: Int, length: Int, evaluate: (UInt32, UInt32, Int, Int) -> (UInt32, UInt32)
  ) {
    guard next[index] != Self.none else {
      rank[index] = Self.none
      return
    }
    let right = Int(next[index])
    let end = next[right] == Self.none ? length : Int(start[Int(next[right])])
    (rank[index], result[index]) = evaluate(token[index], token[right], Int(start[index]), end)
  }
}
