/// How a machine runs streams.
public struct RunOptions: Sendable, Hashable {
  /// Bounds on what a stream may ask for.
  public var limits = RunLimits()
  /// Host threads for large operations.
  public var threads = 2
  /// Host memory for decoded weights, bytes; 0 decodes every stream every time.
  public var weightCacheBudget = 512 << 20
  /// Whether results list every operation.
  public var recordsOperations = true
  /// Whether reads of never-written bytes and missing waits are looked for.
  public var detectsHazards = true
  /// Whether kernels compute. Without it everything is checked and followed, DMAs move their bytes and
  /// outputs count as written, but OFM bytes stay what they were and weights are not decoded.
  public var executesKernels = true

  /// The defaults.
  public init() {}
}
