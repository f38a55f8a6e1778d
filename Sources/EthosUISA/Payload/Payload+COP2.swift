/// `VEUM`, the magic of the metadata.
private let metadataMagic: UInt32 = 0x4D55_4556
/// Bytes before the entry: magic, version, length.
private let headerBytes = 16
/// Bytes before the entry's data: type, length.
private let entryHeaderBytes = 8
/// Bytes of the metadata without padding: its length, magic, version, length of the five words.
private let metadataBytes = 32

extension Payload {
  /// Reads the format with byte lengths: a header and one entry.
  static func parseCOP2(
    _ input: PayloadBytes
  ) throws(PayloadError) -> (payload: Payload, streamBytes: Range<Int>) {
    func malformed(_ offset: Int, _ text: String) -> PayloadError {
      PayloadError(byteOffset: offset, reason: .malformed(text))
    }
    let version = try input.word(at: 4)
    guard version & 0xFFFF == 1 else {
      throw malformed(4, "major version \(version & 0xFFFF) of the container, must be 1")
    }
    let rest = input.bytes.count - headerBytes
    let length = try input.long(at: 8)
    guard rest >= 0, length <= UInt64(rest) else {
      throw PayloadError(byteOffset: 8, reason: .truncated)
    }
    // Tensors may be padded at the end; a length that is too small is allowed for that alone.
    let type = try input.word(at: headerBytes)
    guard type == 1 else {
      throw PayloadError(byteOffset: headerBytes, reason: .unknownAction(type))
    }
    let dataStart = headerBytes + entryHeaderBytes
    let dataLength = Int(try input.word(at: headerBytes + 4))
    guard length >= UInt64(entryHeaderBytes),
      dataLength <= Int(length) - entryHeaderBytes
    else { throw PayloadError(byteOffset: headerBytes + 4, reason: .truncated) }
    let metadataLength = Int(try input.word(at: dataStart))
    guard metadataLength >= metadataBytes, metadataLength + 4 <= dataLength else {
      throw malformed(dataStart, "metadata of \(metadataLength) bytes in \(dataLength)")
    }
    guard try input.word(at: dataStart + 4) == metadataMagic else {
      throw malformed(dataStart + 4, "the metadata does not start with VEUM")
    }
    let metadataVersion = try input.word(at: dataStart + 8) & 0xFFFF
    guard metadataVersion == 1 else {
      throw malformed(dataStart + 8, "major version \(metadataVersion) of the metadata, must be 1")
    }
    let fields = dataStart + 16
    guard try input.word(at: fields - 4) >= 20 else {
      throw malformed(fields - 4, "less than 20 bytes of metadata")
    }
    let metadata = CommonMetadata(
      features: try input.word(at: fields + 8), fastScratchBytes: try input.long(at: fields + 12))
    let start = dataStart + 4 + metadataLength
    let end = dataStart + dataLength
    guard start % 16 == 0 else { throw PayloadError(byteOffset: start, reason: .misaligned) }
    guard (end - start) % 4 == 0 else {
      throw malformed(headerBytes + 4, "the stream ends inside a word")
    }
    guard end - start <= CommandStream.wordLimit * 4 else {
      throw PayloadError(
        byteOffset: headerBytes + 4, reason: .streamTooLong(words: (end - start) / 4))
    }
    let payload = Payload(
      format: .cop2(metadata),
      configuration: ConfigurationWord(rawValue: try input.word(at: fields)),
      id: IdentificationWord(rawValue: try input.word(at: fields + 4)),
      words: [UInt32](littleEndianBytes: input.bytes[start..<end]))
    return (payload, start..<end)
  }

  /// Header, one entry with metadata, 0xFF padding, stream at byte 64.
  func serialiseCOP2(_ metadata: CommonMetadata) -> [UInt8] {
    let padding = 4
    let metadataLength = UInt32(metadataBytes + padding)
    let dataLength = UInt32(truncatingIfNeeded: 4 + Int(metadataLength) + words.count * 4)
    let head: [UInt32] = [
      Self.cop2Magic, 1, dataLength + UInt32(entryHeaderBytes), 0,
      1, dataLength,
      metadataLength, metadataMagic, 1, 20,
      configuration.rawValue, id.rawValue, metadata.features,
      UInt32(truncatingIfNeeded: metadata.fastScratchBytes),
      UInt32(truncatingIfNeeded: metadata.fastScratchBytes >> 32),
      0xFFFF_FFFF,
    ]
    return (head + words).littleEndianBytes
  }
}
