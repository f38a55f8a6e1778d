/// Codes of driver actions.
private enum Action {
  static let configuration: UInt32 = 1
  static let stream: UInt32 = 2
  static let nothing: UInt32 = 5
}

extension Payload {
  /// Reads the list of driver actions.
  static func parseCOP1(
    _ input: PayloadBytes
  ) throws(PayloadError) -> (payload: Payload, streamBytes: Range<Int>) {
    var offset = 4
    var configuration: (ConfigurationWord, IdentificationWord)?
    var stream: Range<Int>?
    while offset < input.bytes.count {
      let action = try input.word(at: offset)
      switch action & 0xFF {
      case Action.nothing:
        offset += 4
      case Action.configuration:
        guard configuration == nil else {
          throw PayloadError(byteOffset: offset, reason: .repeated)
        }
        configuration = (
          ConfigurationWord(rawValue: try input.word(at: offset + 4)),
          IdentificationWord(rawValue: try input.word(at: offset + 8))
        )
        offset += 12
      case Action.stream:
        guard stream == nil else { throw PayloadError(byteOffset: offset, reason: .repeated) }
        guard configuration != nil else {
          throw PayloadError(byteOffset: offset, reason: .noConfiguration)
        }
        let words = Int(action >> 16) | Int(action >> 8 & 0xFF) << 16
        let start = offset + 4
        guard start % 16 == 0 else { throw PayloadError(byteOffset: start, reason: .misaligned) }
        guard words <= CommandStream.wordLimit else {
          throw PayloadError(byteOffset: offset, reason: .streamTooLong(words: words))
        }
        guard words * 4 <= input.bytes.count - start else {
          throw PayloadError(byteOffset: start, reason: .truncated)
        }
        stream = start..<start + words * 4
        offset = start + words * 4
      case let code:
        throw PayloadError(byteOffset: offset, reason: .unknownAction(code))
      }
    }
    guard let stream, let configuration else {
      throw PayloadError(byteOffset: input.bytes.count, reason: .noStream)
    }
    let payload = Payload(
      format: .cop1, configuration: configuration.0, id: configuration.1,
      words: [UInt32](littleEndianBytes: input.bytes[stream]))
    return (payload, stream)
  }

  /// Magic, configuration (release 0, patch 1 of the format), fillers, stream at byte 32.
  func serialiseCOP1() -> [UInt8] {
    var head: [UInt32] = [
      Self.cop1Magic, Action.configuration | 1 << 20, configuration.rawValue, id.rawValue,
    ]
    while (head.count + 1) % 4 != 0 { head.append(Action.nothing) }
    let length = UInt32(truncatingIfNeeded: words.count)
    head.append(Action.stream | (length >> 16 & 0xFF) << 8 | (length & 0xFFFF) << 16)
    return (head + words).littleEndianBytes
  }
}
