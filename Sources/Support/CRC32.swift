/// The CRC-32 of Ethernet, zip and PNG (ISO-HDLC: reflected polynomial 0xEDB88320, initial value and
/// final inversion all ones), used to protect every file of ours against damage.
public struct CRC32: Sendable {
  private static let table: [UInt32] = (0..<256).map { index in
    (0..<8).reduce(UInt32(index)) { value, _ in
      value & 1 == 0 ? value >> 1 : value >> 1 ^ 0xEDB8_8320
    }
  }

  private var state: UInt32 = 0xFFFF_FFFF

  /// The checksum of no bytes yet.
  public init() {}

  /// Takes in more bytes.
  public mutating func update(_ bytes: some Sequence<UInt8>) {
    let table = Self.table
    var value = state
    for byte in bytes { value = value >> 8 ^ table[Int((value ^ UInt32(byte)) & 0xFF)] }
    state = value
  }

  /// The checksum of all bytes taken in so far.
  public var value: UInt32 { ~state }

  /// The checksum of some bytes.
  public static func checksum(_ bytes: some Sequence<UInt8>) -> UInt32 {
    var crc = CRC32()
    crc.update(bytes)
    return crc.value
  }
}
