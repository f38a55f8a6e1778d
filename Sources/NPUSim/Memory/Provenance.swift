/// Remembers which ranges of a memory are untouched copies of constant memory.
///
/// Weights are usually staged from flash to SRAM by DMA before use. As long as nothing else wrote to
/// the copy, its decoded form can be found under the constant address, however often it is staged.
struct Provenance {
  /// One untouched copy.
  struct Copy {
    /// Bytes of the destination.
    var range: Range<Int>
    /// The constant bank the bytes came from.
    var source: MemoryBank
    /// Where in it.
    var offset: Int
  }

  /// More than any stream keeps staged at once; beyond it the oldest is forgotten, which costs only time.
  private static let capacity = 64
  private var copies: [Copy] = []

  /// Drops what the range overwrites; the untouched ends of a copy stay known.
  mutating func forget(_ range: Range<Int>) {
    guard !copies.isEmpty, copies.contains(where: { $0.range.overlaps(range) }) else { return }
    var kept: [Copy] = []
    for copy in copies {
      guard copy.range.overlaps(range) else {
        kept.append(copy)
        continue
      }
      if copy.range.lowerBound < range.lowerBound {
        kept.append(
          Copy(
            range: copy.range.lowerBound..<range.lowerBound, source: copy.source,
            offset: copy.offset))
      }
      if range.upperBound < copy.range.upperBound {
        kept.append(
          Copy(
            range: range.upperBound..<copy.range.upperBound, source: copy.source,
            offset: copy.offset + range.upperBound - copy.range.lowerBound))
      }
    }
    copies = kept
  }

  /// Records a copy after the write itself was recorded with ``forget(_:)``.
  mutating func remember(_ copy: Copy) {
    if copies.count >= Self.capacity { copies.removeFirst(copies.count - Self.capacity + 1) }
    copies.append(copy)
  }

  /// The constant bytes that the range is a copy of, when one copy covers all of it.
  func source(of range: Range<Int>) -> (bank: MemoryBank, offset: Int)? {
    for copy in copies
    where copy.range.lowerBound <= range.lowerBound && range.upperBound <= copy.range.upperBound {
      return (copy.source, copy.offset + range.lowerBound - copy.range.lowerBound)
    }
    return nil
  }
}
