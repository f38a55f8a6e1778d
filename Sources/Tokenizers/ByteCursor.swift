/// Reads little-endian numbers and byte runs from untrusted bytes, checking before each read.
struct ByteCursor {
  /// All the bytes.
  let bytes: [UInt8]
  /// The offset of the next read.
  private(set) var offset = 0

  /// A cursor at the first byte.
  init(_ bytes: [UInt8]) { self.bytes = bytes }

  /// How many bytes are left.
  var left: Int { bytes.count - offset }

  /// The next `count` bytes, which are the `what`.
  mutating func take(_ count: Int, _ what: String) throws(TokenizerError) -> ArraySlice<UInt8> {
    guard count >= 0, count <= left else { throw .truncated(what: what, offset: offset) }
    defer { offset += count }
    return bytes[offset..<offset + count]
  }

  /// The next 32-bit number.
  mutating func word(_ what: String) throws(TokenizerError) -> UInt32 {
    try take(4, what).reversed().reduce(0) { $0 << 8 | UInt32($1) }
  }

  /// Goes to an offset, which may be anywhere: the next read checks.
  mutating func seek(_ place: UInt32, _ what: String) throws(TokenizerError) {
    guard Int(place) <= bytes.count else { throw .truncated(what: what, offset: Int(place)) }
    offset = Int(place)
  }
}
