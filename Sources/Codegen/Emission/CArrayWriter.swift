import Support

/// Writes bytes as the initialiser of a C array of 64-bit words.
///
/// Words instead of bytes make the text less than half as long and the C compiler several times
/// faster. Words are little endian, as every Cortex-M and every host we build for.
enum CArrayWriter {
  /// Calls `append` with pieces of the initialiser's text, without the braces.
  static func write(
    _ bytes: ByteSource, _ append: (UnsafeRawBufferPointer) throws -> Void
  ) throws {
    let digits = Array("0123456789abcdef".utf8)
    let wordsPerLine = 4
    try bytes.withBytes { raw in
      let words = max((raw.count + 7) / 8, 1)
      let linesPerPiece = 4096
      var text: [UInt8] = []
      text.reserveCapacity(linesPerPiece * wordsPerLine * 21)
      for first in stride(from: 0, to: words, by: linesPerPiece * wordsPerLine) {
        text.removeAll(keepingCapacity: true)
        for word in first..<min(first + linesPerPiece * wordsPerLine, words) {
          text.append(contentsOf: word % wordsPerLine == 0 ? [0x0A, 0x20, 0x20] : [0x20])
          text.append(contentsOf: [0x30, 0x78])  // 0x
          for byte in stride(from: 7, through: 0, by: -1) {
            let at = word * 8 + byte
            let value = at < raw.count ? raw[at] : 0
            text.append(digits[Int(value >> 4)])
            text.append(digits[Int(value & 15)])
          }
          text.append(contentsOf: Array("u,".utf8))
        }
        try text.withUnsafeBytes { try append($0) }
      }
    }
  }
}
