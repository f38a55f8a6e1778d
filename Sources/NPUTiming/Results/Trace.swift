/// The units that work side by side, as tracks of a trace.
public enum Engine: String, Sendable, Hashable, CaseIterable {
  case input = "IFM fetch"
  case decoder = "weight decoder"
  case array = "MAC array"
  case output = "output unit"
  case write = "OFM write"
  case transfer = "DMA"
}

/// A unit at work for one operation.
public struct TraceSlice: Sendable, Hashable {
  /// The unit.
  public var engine: Engine
  /// The operation, counted over kernels and transfers of the job.
  public var operation: Int
  /// Cycles from the start of the job.
  public var start: Int
  public var end: Int
}
