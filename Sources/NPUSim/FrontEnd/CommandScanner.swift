/// Walks over the words of a command stream.
struct CommandScanner {
  /// One command.
  struct Command {
    /// Bits 9...0 of the first word.
    var opcode: Int
    /// Bits 31...16 of the first word.
    var parameter: UInt16
    /// The second word of cmd1.
    var word: UInt32?
    var byteOffset: Int
  }

  private let stream: UnsafeRawBufferPointer
  private(set) var byteOffset = 0

  init(_ stream: UnsafeRawBufferPointer) {
    self.stream = stream
  }

  /// The next command, or `nil` at the end of the bytes.
  mutating func next() throws(Fault) -> Command? {
    guard byteOffset < stream.count else { return nil }
    let first = try word(at: byteOffset)
    var command = Command(
      opcode: Int(first & 0x3FF), parameter: UInt16(truncatingIfNeeded: first >> 16), word: nil,
      byteOffset: byteOffset)
    guard first & 0x3C00 == 0, first & 0x8000 == 0 else {
      throw .malformedStream("word 0x\(String(first, radix: 16)) has reserved bits set")
    }
    byteOffset += 4
    if first & 0x4000 != 0 {
      command.word = try word(at: byteOffset)
      byteOffset += 4
    }
    return command
  }

  /// Goes on at a byte offset of the stream.
  mutating func jump(to target: Int) throws(Fault) {
    guard target % 4 == 0, target < stream.count else {
      throw .malformedStream("branch to byte \(target) of \(stream.count)")
    }
    byteOffset = target
  }

  private func word(at offset: Int) throws(Fault) -> UInt32 {
    guard stream.count - offset >= 4 else {
      throw .malformedStream("ends within a word at byte \(offset)")
    }
    return UInt32(littleEndian: stream.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
  }
}
