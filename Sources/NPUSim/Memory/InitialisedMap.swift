/// Which bytes of a memory have ever been written: one bit a byte, until every byte has been.
struct InitialisedMap {
  private var words: [UInt64]
  /// Bytes not yet written. At zero the bitmap is never consulted again.
  private(set) var missing: Int

  /// A map of `count` bytes, all of them written or none.
  init(count: Int, initialised: Bool) {
    words = initialised ? [] : [UInt64](repeating: 0, count: (count + 63) / 64)
    missing = initialised ? 0 : count
  }

  /// Whether nothing is left to report.
  var isComplete: Bool { missing == 0 }

  /// Records a write. The range must lie within the memory.
  mutating func mark(_ range: Range<Int>) {
    guard missing > 0, !range.isEmpty else { return }
    words.withUnsafeMutableBufferPointer { words in
      var fresh = 0
      Self.forEachWord(range) { index, mask in
        fresh &+= (mask & ~words[index]).nonzeroBitCount
        words[index] |= mask
        return true
      }
      missing &-= fresh
    }
  }

  /// Takes back that bytes were written. The range must lie within the memory.
  mutating func clear(_ range: Range<Int>) {
    // A complete map has given up nothing but its use; maps that start complete have no words.
    guard !range.isEmpty, !words.isEmpty else { return }
    words.withUnsafeMutableBufferPointer { words in
      var lost = 0
      Self.forEachWord(range) { index, mask in
        lost &+= (mask & words[index]).nonzeroBitCount
        words[index] &= ~mask
        return true
      }
      missing &+= lost
    }
  }

  /// The first byte of the range that was never written. The range must lie within the memory.
  func firstMissing(in range: Range<Int>) -> Int? {
    guard missing > 0, !range.isEmpty else { return nil }
    return words.withUnsafeBufferPointer { words in
      var found: Int?
      Self.forEachWord(range) { index, mask in
        let absent = mask & ~words[index]
        guard absent != 0 else { return true }
        found = index &* 64 &+ absent.trailingZeroBitCount
        return false
      }
      return found
    }
  }

  /// Calls the body with each word index and the bits of it that the range covers, until it says stop.
  @inline(__always)
  private static func forEachWord(_ range: Range<Int>, _ body: (Int, UInt64) -> Bool) {
    let first = range.lowerBound >> 6
    let last = (range.upperBound &- 1) >> 6
    var index = first
    while index <= last {
      var mask = UInt64.max
      if index == first { mask &= UInt64.max << UInt64(range.lowerBound & 63) }
      if index == last { mask &= UInt64.max >> UInt64(63 &- ((range.upperBound &- 1) & 63)) }
      if !body(index, mask) { return }
      index &+= 1
    }
  }
}
