/// The container that Arm's driver takes a command stream in ("COP1", command-stream specification,
/// section 1.1).
public enum DriverPayload {
  /// The longest stream hardware accepts, in words (16 MiB).
  public static let wordLimit = 1 << 22

  /// Wraps a stream: magic, configuration and id words, then the stream at byte 32.
  ///
  /// Returns nil when the stream exceeds `wordLimit`.
  public static func encode(stream: [UInt32], for accelerator: Accelerator) -> [UInt8]? {
    guard stream.count <= wordLimit else { return nil }
    let nop: UInt32 = 5
    let head: [UInt32] = [
      0x3150_4F43, 0x0010_0001, accelerator.configWord, accelerator.idWord, nop, nop, nop,
      2 | UInt32(stream.count >> 16) << 8 | UInt32(stream.count & 0xFFFF) << 16,
    ]
    var bytes: [UInt8] = []
    bytes.reserveCapacity((head.count + stream.count) * 4)
    for word in head { withUnsafeBytes(of: word.littleEndian) { bytes.append(contentsOf: $0) } }
    stream.withUnsafeBytes { bytes.append(contentsOf: $0) }
    return bytes
  }
}
