/// The fast weight decoder of U85: fixed-width codes behind a 256-bit header.
enum FastWeightDecoder {
  private static let headerBytes = 32

  /// Decodes `count` weights in stream order. Streams carry no length: what follows is padding.
  static func decode(_ bytes: UnsafeRawBufferPointer, count: Int) throws(Fault) -> [Int16] {
    guard bytes.count >= headerBytes else {
      throw .weightStream("\(bytes.count) bytes cannot hold the header of a fast stream")
    }
    let isRaw = bytes[0] & 1 != 0
    let isSmall = bytes[0] & 2 != 0
    guard !isRaw || !isSmall else { throw .weightStream("a fast stream is both raw and small") }
    let width = isRaw ? 8 : isSmall ? 2 : 4
    let payload = bytes.count - headerBytes
    guard count <= payload * (8 / width) else {
      throw .weightStream("\(bytes.count) bytes cannot hold \(count) weights of \(width) bits")
    }
    let codes = UnsafeRawBufferPointer(rebasing: bytes[headerBytes...])
    let adjustment = Int16(Int8(bitPattern: bytes[13]))
    if isRaw {
      return [Int16](unsafeUninitializedCapacity: count) { out, n in
        for i in 0..<count { out[i] = Int16(Int8(bitPattern: codes[i])) &- adjustment }
        n = count
      }
    }
    var table: [Int16] = []
    for entry in 0..<16 {
      let bit = 112 + entry * 9
      let pair = Int16(bytes[bit >> 3]) | Int16(bytes[bit >> 3 + 1]) << 8
      let folded = UInt16(bitPattern: pair) >> UInt16(bit & 7) & 0x1FF
      let magnitude = Int16(folded >> 1)
      table.append(folded & 1 == 1 ? -magnitude : magnitude)
    }
    return [Int16](unsafeUninitializedCapacity: count) { out, n in
      if isSmall {
        for i in 0..<count { out[i] = table[Int(codes[i >> 2] >> UInt8(i & 3 &* 2) & 3)] }
      } else {
        for i in 0..<count { out[i] = table[Int(codes[i >> 1] >> UInt8(i & 1 &* 4) & 15)] }
      }
      n = count
    }
  }
}
