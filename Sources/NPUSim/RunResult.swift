import NPUTiming

/// One executed operation, for reports.
public struct OpRecord: Sendable, Hashable {
  /// What ran.
  public enum Kind: Sendable, Hashable {
    case convolution, depthwise, pooling, elementwise
    /// U85.
    case resize
    /// A DMA of that many bytes.
    case transfer(bytes: Int)
  }

  /// What ran.
  public var kind: Kind
  /// Index of the command in the stream, counted from 0.
  public var commandIndex: Int
  /// Byte offset of the command in the stream.
  public var byteOffset: Int
  /// Height, width and depth of the OFM; empty for transfers.
  public var ofmShape: [Int]
  /// Multiply-accumulates or element operations, padding taps included; 0 for transfers.
  public var operations: Int
  /// Encoded bytes of weights.
  public var weightBytes: Int
  /// Byte ranges of the bank behind region 1, the arena, that it reads and writes: one for each operand,
  /// from its first to its last byte.
  public var reads: [Range<Int>] = []
  public var writes: [Range<Int>] = []
}

/// What a run did.
public struct RunResult: Sendable {
  /// What the stream issued, in order, for a timing model; when the options ask for operations.
  public var issues: [IssueEvent] = []
  /// Operations in stream order, when the options ask for them.
  public var ops: [OpRecord] = []
  /// What hardware would not forgive, in stream order.
  public var hazards: [Hazard] = []
  /// Hazards beyond the limit of the options, which were counted only.
  public var droppedHazards = 0
  /// Masks of NPU_OP_IRQ and of the final NPU_OP_STOP, in order.
  public var interrupts: [UInt16] = []
  /// Commands executed.
  public var commands = 0
  /// Kernel operations executed.
  public var kernels = 0
  /// DMAs executed.
  public var transfers = 0
  /// Multiply-accumulates, element operations and bytes moved.
  public var operations = 0
}
