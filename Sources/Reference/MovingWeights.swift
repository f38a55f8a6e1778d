/// Numbers of a linear layer's weight that change from run to run, shared by an interpreter and who
/// changes them.
///
/// Nothing guards them: they may change only while no run reads them.
public final class MovingWeights: @unchecked Sendable {
  /// How many.
  public let count: Int
  /// The numbers, row-major.
  public let base: UnsafeMutablePointer<Float>

  /// A copy of an array.
  public init(_ values: [Float]) {
    count = values.count
    base = .allocate(capacity: max(values.count, 1))
    values.withUnsafeBufferPointer {
      if let from = $0.baseAddress { base.initialize(from: from, count: values.count) }
    }
  }

  deinit { base.deallocate() }
}
