/// Bias, multiplier and shift of one OFM channel, as U55 and U65 read them: 10 bytes
/// (weight-stream specification, section 9).
public struct ScaleRecord: Sendable, Hashable {
  /// Added to the accumulator; 40 bits, signed.
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

  /// The records of consecutive channels, filled with zeros up to a multiple of 16 bytes.
  public static func stream(_ records: [ScaleRecord]) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(records.count * byteCount + 16)
    for record in records {
      for i in 0..<5 { bytes.append(UInt8(truncatingIfNeeded: record.bias >> Int64(8 * i))) }
      for i in 0..<4 { bytes.append(UInt8(truncatingIfNeeded: record.multiplier >> UInt32(8 * i))) }
      bytes.append(UInt8(record.shift & 63))
    }
    while bytes.count % 16 != 0 { bytes.append(0) }
    return bytes
  }
}
