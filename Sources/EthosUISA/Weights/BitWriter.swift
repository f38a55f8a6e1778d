/// Collects bits, least significant first, as weight streams are packed
/// (weight-stream specification, "All bit fields are packed LSB first").
struct BitWriter {
  private(set) var bytes: [UInt8] = []
  private var pending: UInt64 = 0
  private var pendingBits = 0

  /// A writer with room for about `capacity` bytes.
  init(capacity: Int) { bytes.reserveCapacity(capacity) }

  /// Appends the low `count` bits of `value`; `count` is at most 32 and higher bits are zero.
  @inline(__always)
  mutating func write(_ value: UInt32, _ count: Int) {
    pending |= UInt64(value) << UInt64(pendingBits)
    pendingBits &+= count
    while pendingBits >= 8 {
      bytes.append(UInt8(truncatingIfNeeded: pending))
      pending >>= 8
      pendingBits &-= 8
    }
  }

  /// Bits written so far.
  var bitCount: Int { bytes.count * 8 + pendingBits }

  /// Fills up to the next byte with ones and then appends 0xFF up to a multiple of `alignment` bytes.
  mutating func finish(alignment: Int) {
    if pendingBits > 0 { write((1 << UInt32(8 - pendingBits)) - 1, 8 - pendingBits) }
    while bytes.count % alignment != 0 { bytes.append(0xFF) }
  }
}
