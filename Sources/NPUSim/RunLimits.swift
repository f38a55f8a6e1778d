/// Bounds on what a stream may ask of the host, so that a hostile one ends in an error.
public struct RunLimits: Sendable, Hashable {
  /// Elements of any tensor or weight set of one operation.
  public var maximumElements = 1 << 28
  /// Multiply-accumulates, element operations and bytes moved in a run.
  public var maximumOperations = 1 << 46
  /// Bytes moved by one DMA.
  public var maximumTransfer = 1 << 30
  /// Commands executed in a run.
  public var maximumCommands = 1 << 24
  /// Hazards recorded in a run; further ones are only counted.
  public var maximumHazards = 256

  /// The defaults, far above what language models need.
  public init() {}
}
