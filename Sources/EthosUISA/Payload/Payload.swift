/// What a driver is handed to run: a command stream with the words that say for which hardware.
///
/// Both formats are those of Arm's Ethos-U core driver and of Vela 5.2.0.
public struct Payload: Sendable, Hashable {
  /// The container.
  public enum Format: Sendable, Hashable {
    /// A list of driver actions; what bare-metal drivers accept.
    case cop1
    /// A header with byte lengths and metadata.
    case cop2(CommonMetadata)
  }

  /// What only the second format carries.
  public struct CommonMetadata: Sendable, Hashable {
    /// Feature flags: bit 0 network-wide addresses, bit 1 local addresses.
    public var features: UInt32
    /// Bytes of fast scratch memory that the stream uses.
    public var fastScratchBytes: UInt64

    /// Metadata of a stream.
    public init(features: UInt32 = 1, fastScratchBytes: UInt64 = 0) {
      self.features = features
      self.fastScratchBytes = fastScratchBytes
    }
  }

  /// The container.
  public var format: Format
  /// For which configuration the stream is.
  public var configuration: ConfigurationWord
  /// For which architecture version the stream is.
  public var id: IdentificationWord
  /// The stream's words.
  public var words: [UInt32]

  /// A payload of `words` for `accelerator`.
  public init(words: [UInt32], for accelerator: Accelerator, format: Format = .cop1) {
    self.init(
      format: format, configuration: accelerator.configuration,
      id: accelerator.product.streamID, words: words)
  }

  /// A payload from its parts.
  public init(
    format: Format, configuration: ConfigurationWord, id: IdentificationWord, words: [UInt32]
  ) {
    self.format = format
    self.configuration = configuration
    self.id = id
    self.words = words
  }

  /// The stream with the product that the configuration names; nil for an unknown product.
  public var stream: CommandStream? {
    configuration.product.map { CommandStream(words, product: $0) }
  }

  /// The configuration, when it is one we know.
  public var accelerator: Accelerator? { Accelerator(configWord: configuration.rawValue) }

  /// Why hardware with these words would refuse the payload; nil when it would run it.
  public func incompatibility(
    with hardware: ConfigurationWord, id hardwareID: IdentificationWord
  ) -> StreamIncompatibility? {
    ConfigurationWord.incompatibility(
      stream: (configuration, id), hardware: (hardware, hardwareID))
  }

  /// Reads either format from bytes that may be anything.
  public static func parse(_ bytes: [UInt8]) throws(PayloadError) -> Payload {
    try locate(bytes).payload
  }

  /// Reads either format and tells where in `bytes` the stream lies.
  public static func locate(
    _ bytes: [UInt8]
  ) throws(PayloadError) -> (payload: Payload, streamBytes: Range<Int>) {
    let input = PayloadBytes(bytes: bytes)
    guard bytes.count % 4 == 0 else {
      throw PayloadError(byteOffset: bytes.count / 4 * 4, reason: .partialWord)
    }
    switch try input.word(at: 0) {
    case cop1Magic: return try parseCOP1(input)
    case cop2Magic: return try parseCOP2(input)
    case let word: throw PayloadError(byteOffset: 0, reason: .magic(word))
    }
  }

  /// The payload's bytes. The stream starts at a multiple of 16 from the first.
  ///
  /// - Throws: `.streamTooLong` when hardware does not accept the length.
  public func serialise() throws(PayloadError) -> [UInt8] {
    guard words.count <= CommandStream.wordLimit else {
      throw PayloadError(byteOffset: 0, reason: .streamTooLong(words: words.count))
    }
    switch format {
    case .cop1: return serialiseCOP1()
    case .cop2(let metadata): return serialiseCOP2(metadata)
    }
  }

  /// `COP1`, little endian.
  static let cop1Magic: UInt32 = 0x3150_4F43
  /// `COP2`, little endian.
  static let cop2Magic: UInt32 = 0x3250_4F43
}

/// Bytes with checked reads.
struct PayloadBytes {
  let bytes: [UInt8]

  /// The little-endian word at `offset`.
  func word(at offset: Int) throws(PayloadError) -> UInt32 {
    guard offset >= 0, offset <= bytes.count - 4 else {
      throw PayloadError(byteOffset: min(max(offset, 0), bytes.count), reason: .truncated)
    }
    return (0..<4).reduce(0) { $0 | UInt32(bytes[offset + $1]) << UInt32($1 * 8) }
  }

  /// The little-endian double word at `offset`.
  func long(at offset: Int) throws(PayloadError) -> UInt64 {
    UInt64(try word(at: offset)) | UInt64(try word(at: offset + 4)) << 32
  }
}
