import Support

/// Random values for tests: mostly uniform over a random number of bits, sometimes extremes.
struct ValueSource {
  private var random: SplitMix64

  init(seed: UInt64) { random = SplitMix64(seed: seed) }

  /// A number in `range`.
  mutating func below(_ range: Range<Int>) -> Int {
    range.lowerBound + Int(random.next() % UInt64(range.count))
  }

  /// A value of `T`; `extremes` makes one in four the type's smallest, largest, zero or minus one.
  mutating func value<T: FixedWidthInteger & SignedInteger>(
    _ type: T.Type = T.self, extremes: Bool = true, floor: T = .min
  ) -> T {
    if extremes, random.next() % 4 == 0 {
      return [floor, T.max, 0, -1][Int(random.next() % 4)]
    }
    let shift = Int(random.next() % UInt64(T.bitWidth))
    return max(T(truncatingIfNeeded: random.next()) >> T(shift), floor)
  }

  /// Many values.
  mutating func values<T: FixedWidthInteger & SignedInteger>(
    _ count: Int, extremes: Bool = true, floor: T = .min
  ) -> [T] {
    (0..<count).map { _ in value(extremes: extremes, floor: floor) }
  }
}
