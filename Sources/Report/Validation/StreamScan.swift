/// Finds driver payloads in a file by their mark, whatever the container is.
///
/// A payload is an aligned array of 32-bit words: `COP1`, then driver actions; the command stream is
/// one of them.
enum StreamScan {
  /// The command streams, in file order.
  static func streams(in bytes: [UInt8]) -> [[UInt8]] {
    var result: [[UInt8]] = []
    var at = 0
    let mark: [UInt8] = Array("COP1".utf8)
    while at + 8 <= bytes.count {
      guard bytes[at] == mark[0], bytes[at + 1] == mark[1], bytes[at + 2] == mark[2],
        bytes[at + 3] == mark[3], let range = stream(in: bytes, after: at + 4)
      else {
        at += 4
        continue
      }
      result.append(Array(bytes[range]))
      at = (range.upperBound + 3) / 4 * 4
    }
    return result
  }

  /// Walks the driver actions to the command stream.
  private static func stream(in bytes: [UInt8], after start: Int) -> Range<Int>? {
    var at = start
    for _ in 0..<16 {
      guard at + 4 <= bytes.count else { return nil }
      let word = (0..<4).reduce(0) { $0 | Int(bytes[at + $1]) << (8 * $1) }
      switch word & 0xFF {
      case 1: at += 12
      case 5: at += 4
      case 2:
        let words = (word >> 8 & 0xFF) << 16 | word >> 16
        let end = at + 4 + 4 * words
        return words > 0 && end <= bytes.count ? at + 4..<end : nil
      default: return nil
      }
    }
    return nil
  }
}
