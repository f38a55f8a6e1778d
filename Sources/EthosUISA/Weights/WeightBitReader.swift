/// Reads fields from bytes, least significant bit first. A read past the end gives zeros and is
/// remembered, so that callers may check once a chunk.
struct WeightBitReader {
  private let bytes: UnsafeBufferPointer<UInt8>
  private var window: UInt64 = 0
  private var windowBits = 0
  private var next = 0

  /// A reader at the first bit.
  init(_ bytes: UnsafeBufferPointer<UInt8>) { self.bytes = bytes }

  /// Bits read so far, which is past the end after a read that found too few.
  var position: Int { next &* 8 &- windowBits }

  /// Bits not read yet; negative after a read past the end.
  var remaining: Int { bytes.count &* 8 &- position }

  /// Whether more bits were read than there are.
  var isPastEnd: Bool { remaining < 0 }

  /// The next `count` bits, at most 32.
  @inline(__always)
  mutating func read(_ count: Int) -> UInt32 {
    if windowBits < count { refill() }
    let value = UInt32(truncatingIfNeeded: window & ((1 &<< UInt64(count)) &- 1))
    window &>>= UInt64(count)
    windowBits &-= count
    return value
  }

  /// Skips to the next byte boundary.
  mutating func alignToByte() { _ = read(windowBits & 7) }

  @inline(__always)
  private mutating func refill() {
    if next &+ 4 <= bytes.count, let base = bytes.baseAddress {
      let word = UnsafeRawPointer(base + next).loadUnaligned(as: UInt32.self)
      window |= UInt64(UInt32(littleEndian: word)) &<< UInt64(windowBits)
      windowBits &+= 32
      next &+= 4
      return
    }
    while windowBits <= 32 {
      let byte = next < bytes.count ? bytes[next] : 0
      window |= UInt64(byte) &<< UInt64(windowBits)
      windowBits &+= 8
      next &+= 1
    }
  }
}
