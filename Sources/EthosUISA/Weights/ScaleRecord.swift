/// Bias, multiplier and shift of one OFM channel: 10 bytes, little-endian
/// (facts: the scale encoders of Arm's Vela).
public struct ScaleRecord: Sendable, Hashable {
  /// Where the fields stand.
  public enum Layout: Sendable, Hashable, CaseIterable {
    /// U55 and U65: bias 40 bits, multiplier 32, shift 6.
    case u55
    /// U85 with 32-bit accumulators: bias 32 bits, multiplier 31, shift 6.
    case u85Acc32
    /// U85 with 48-bit accumulators: bias 48 bits, multiplier 15, shift 6.
    case u85Acc48

    /// Bits of the bias, two's complement.
    public var biasBits: Int {
      switch self {
      case .u55: 40
      case .u85Acc32: 32
      case .u85Acc48: 48
      }
    }

    /// Bits of the multiplier.
    public var multiplierBits: Int {
      switch self {
      case .u55: 32
      case .u85Acc32: 31
      case .u85Acc48: 15
      }
    }

    /// The byte of the shift.
    fileprivate var shiftByte: Int { self == .u55 ? 9 : 8 }
  }

  /// Added to the accumulator; as many bits as the layout has.
  public var bias: Int64
  /// The multiplier.
  public var multiplier: UInt32
  /// The right shift, 0 to 63.
  public var shift: Int

  /// A record.
  public init(bias: Int64, multiplier: UInt32, shift: Int) {
    self.bias = bias
    self.multiplier = multiplier
    self.shift = shift
  }

  /// Bytes of one record.
  public static let byteCount = 10

  /// The record in the first ten bytes of `bytes`, or nil if there are fewer.
  public init?(_ bytes: some Collection<UInt8>, layout: Layout = .u55) {
    let bytes = Array(bytes.prefix(Self.byteCount))
    guard bytes.count == Self.byteCount else { return nil }
    func field(_ first: Int, _ count: Int) -> UInt64 {
      (0..<count).reduce(0) { $0 | UInt64(bytes[first + $1]) << UInt64(8 * $1) }
    }
    let biasBytes = layout.biasBits / 8
    let unused = Int64(64 - layout.biasBits)
    bias = (Int64(bitPattern: field(0, biasBytes)) << unused) >> unused
    let mask = UInt64(1) << UInt64(layout.multiplierBits) - 1
    multiplier = UInt32(field(biasBytes, layout.shiftByte - biasBytes) & mask)
    shift = Int(bytes[layout.shiftByte] & 63)
  }

  /// Whether bias, multiplier and shift have room in the fields of a layout.
  public func fits(_ layout: Layout) -> Bool {
    let unused = Int64(64 - layout.biasBits)
    return (bias << unused) >> unused == bias
      && UInt64(multiplier) >> UInt64(layout.multiplierBits) == 0
      && (0...63).contains(shift)
  }

  /// The ten bytes; fields that do not fit are cut.
  public func bytes(_ layout: Layout = .u55) -> [UInt8] {
    var result = [UInt8](repeating: 0, count: Self.byteCount)
    let biasBytes = layout.biasBits / 8
    for i in 0..<biasBytes { result[i] = UInt8(truncatingIfNeeded: bias >> Int64(8 * i)) }
    let mask = UInt64(1) << UInt64(layout.multiplierBits) - 1
    let field = UInt64(multiplier) & mask
    for i in biasBytes..<layout.shiftByte {
      result[i] = UInt8(truncatingIfNeeded: field >> UInt64(8 * (i - biasBytes)))
    }
    result[layout.shiftByte] = UInt8(truncatingIfNeeded: shift & 63)
    return result
  }

  /// The records of consecutive channels, filled with zeros up to a multiple of 16 bytes.
  ///
  /// - Parameter channelMultiple: zero records are appended up to a multiple of this; on U85 the
  ///   micro-block depth rounded up to 16.
  public static func stream(
    _ records: [ScaleRecord], layout: Layout = .u55, channelMultiple: Int = 1
  ) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity((records.count + channelMultiple) * byteCount + 16)
    for record in records { bytes += record.bytes(layout) }
    while bytes.count % (byteCount * max(1, channelMultiple)) != 0 { bytes.append(0) }
    while bytes.count % 16 != 0 { bytes.append(0) }
    return bytes
  }

  /// The first `count` records of a stream, or nil if it is shorter.
  public static func decode(
    _ bytes: [UInt8], count: Int, layout: Layout = .u55
  ) -> [ScaleRecord]? {
    guard count >= 0, bytes.count / byteCount >= count else { return nil }
    return (0..<count).compactMap { ScaleRecord(bytes[($0 * byteCount)...], layout: layout) }
  }
}
