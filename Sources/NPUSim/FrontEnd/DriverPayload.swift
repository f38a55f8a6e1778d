/// The "COP1" container that drivers take: finds the command stream in it.
enum DriverPayload {
  /// The bytes of the first COMMAND_STREAM action.
  static func stream(in payload: UnsafeRawBufferPointer) throws(Fault) -> Range<Int> {
    guard payload.count % 4 == 0, payload.count >= 4 else {
      throw .malformedStream("payload of \(payload.count) bytes is not a row of words")
    }
    func word(_ index: Int) -> UInt32 {
      UInt32(littleEndian: payload.loadUnaligned(fromByteOffset: index * 4, as: UInt32.self))
    }
    let words = payload.count / 4
    guard word(0) == 0x3150_4F43 else { throw .malformedStream("payload does not start with COP1") }
    var at = 1
    while at < words {
      let action = word(at)
      switch action & 0xFF {
      case 1: at += 3
      case 2:
        let count = Int(action >> 8 & 0xFF) << 16 | Int(action >> 16)
        guard (at + 1) % 4 == 0 else {
          throw .malformedStream("the stream does not start on a 16-byte boundary")
        }
        guard count <= words - at - 1 else {
          throw .malformedStream("stream of \(count) words in a payload of \(words)")
        }
        return (at + 1) * 4..<(at + 1 + count) * 4
      case 5: at += 1
      default: throw .malformedStream("driver action \(action & 0xFF) at word \(at)")
      }
    }
    throw .malformedStream("payload without command stream")
  }
}
