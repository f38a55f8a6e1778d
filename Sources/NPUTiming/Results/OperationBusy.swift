/// What the engines did for one operation, in cycles, and what it moved, in beats.
public struct OperationBusy: Sendable, Hashable {
  /// Cycles the MAC array, the output unit and the weight decoder worked.
  public var array = 0
  public var output = 0
  public var decoder = 0
  /// Cycles the array waited for weights, inputs and free accumulators.
  public var weightWait = 0
  public var inputWait = 0
  public var accumulatorWait = 0
  /// Cycles the decoder waited for bytes, and for room.
  public var fetchWait = 0
  public var decoderWait = 0
  /// Cycles the output unit waited for accumulators, and for room to write.
  public var accumulatorStarve = 0
  public var writeWait = 0
  /// Cycles the output unit waited for scale records.
  public var scaleWait = 0
  /// Beats read and written.
  public var inputBeats = 0
  public var weightBeats = 0
  public var scaleBeats = 0
  public var outputBeats = 0

  /// Bytes read and written.
  public internal(set) var bytes = 0

  /// Nothing.
  public init() {}
}

/// Counters of a job that belong to no operation.
public struct Counters: Sendable, Hashable {
  /// Cycles the parser waited for transfers and kernels because the stream said so.
  public var transferWait = 0
  public var kernelWait = 0
  /// Cycles input reads waited for blocks of the kernel before (BLOCKDEP).
  public var dependencyStall = 0
  /// Cycles with a transfer under way.
  public var transferActive = 0
}
