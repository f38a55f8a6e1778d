/// The printable alphabet in which byte-level vocabularies write raw bytes (GPT-2's `bytes_to_unicode`):
/// bytes that are printable in Latin-1 stand for themselves, the other 68 for U+0100 and up, in order.
enum ByteLevelAlphabet {
  /// The scalar value that stands for each byte.
  static let scalars: [UInt32] = {
    var table = [UInt32](repeating: 0, count: 256)
    var next: UInt32 = 256
    for byte in 0..<256 {
      switch byte {
      case 33...126, 161...172, 174...255: table[byte] = UInt32(byte)
      default:
        table[byte] = next
        next += 1
      }
    }
    return table
  }()

  private static let bytes: [UInt8?] = {
    var table = [UInt8?](repeating: nil, count: 256 + 68)
    for (byte, scalar) in scalars.enumerated() { table[Int(scalar)] = UInt8(byte) }
    return table
  }()

  /// The bytes that a word of the alphabet stands for, or nil when it has another character.
  static func decode(_ word: String) -> [UInt8]? {
    var result: [UInt8] = []
    result.reserveCapacity(word.utf8.count)
    for scalar in word.unicodeScalars {
      guard scalar.value < bytes.count, let byte = bytes[Int(scalar.value)] else { return nil }
      result.append(byte)
    }
    return result
  }

  /// The word of the alphabet for some bytes.
  static func encode(_ bytes: some Sequence<UInt8>) -> String {
    var text = String.UnicodeScalarView()
    for byte in bytes {
      if let scalar = Unicode.Scalar(scalars[Int(byte)]) { text.append(scalar) }
    }
    return String(text)
  }
}
