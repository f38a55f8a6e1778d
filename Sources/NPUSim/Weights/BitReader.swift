/// Reads bit fields, least significant bit first.
struct BitReader {
  private let bytes: UnsafeRawBufferPointer
  /// Position of the next bit.
  private(set) var position = 0
  private let end: Int

  init(_ bytes: UnsafeRawBufferPointer) {
    self.bytes = bytes
    end = bytes.count &* 8
  }

  var remaining: Int { end &- position }

  /// The next `count` bits (at most 32) as an integer.
  @inline(__always)
  mutating func bits(_ count: Int) throws(Fault) -> Int {
    guard count <= remaining else { throw .weightStream("ends within a slice") }
    let byte = position >> 3
    var window: UInt64 = 0
    if bytes.count &- byte >= 8 {
      window = UInt64(
        littleEndian: bytes.loadUnaligned(fromByteOffset: byte, as: UInt64.self))
    } else {
      for i in 0..<bytes.count &- byte { window |= UInt64(bytes[byte &+ i]) &<< UInt64(i &* 8) }
    }
    let value = (window &>> UInt64(position & 7)) & ((1 &<< UInt64(count)) &- 1)
    position &+= count
    return Int(truncatingIfNeeded: value)
  }

  /// Skips to the next byte boundary.
  mutating func alignToByte() {
    position = (position &+ 7) & ~7
  }
}
