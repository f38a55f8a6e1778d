/// Something a stream did that real hardware would not forgive, although the simulator went on.
public struct Hazard: Sendable, Hashable, CustomStringConvertible {
  /// What was noticed.
  public enum Kind: Sendable, Hashable {
    /// An input holds bytes nobody wrote; `offset` is the first of them in `bank`.
    case uninitialisedRead(role: TensorRole, bank: String, offset: Int)
    /// The table selected by the activation was not (completely) loaded.
    case tableNotLoaded(offset: Int)
    /// The operation may read data that an unfinished one has yet to write.
    case readAfterWrite(role: TensorRole, earlier: Int)
    /// The operation may overwrite data that an unfinished one has yet to read.
    case writeAfterRead(role: TensorRole, earlier: Int)
    /// The operation and an unfinished one write the same bytes.
    case writeAfterWrite(role: TensorRole, earlier: Int)
    /// A register that steers the hardware, but not the result, was never written.
    case registerNotSet(String)
    /// The stream ended without NPU_OP_STOP.
    case missingStop
  }

  /// What was noticed.
  public var kind: Kind
  /// Index of the command in the stream, counted from 0.
  public var commandIndex: Int
  /// Byte offset of the command in the stream.
  public var byteOffset: Int

  /// Place and reason in one line.
  public var description: String {
    let what =
      switch kind {
      case .uninitialisedRead(let role, let bank, let offset):
        "\(role.rawValue) reads byte \(offset) of \(bank), which was never written"
      case .tableNotLoaded(let offset):
        "the lookup table at internal address \(offset) was never loaded"
      case .readAfterWrite(let role, let earlier):
        "\(role.rawValue) may be read before command \(earlier) has written it"
      case .writeAfterRead(let role, let earlier):
        "\(role.rawValue) may be overwritten before command \(earlier) has read it"
      case .writeAfterWrite(let role, let earlier):
        "\(role.rawValue) is also being written by command \(earlier)"
      case .registerNotSet(let name): "\(name) was never written"
      case .missingStop: "the stream ends without NPU_OP_STOP"
      }
    return "command \(commandIndex) at byte 0x\(String(byteOffset, radix: 16)): \(what)"
  }
}
