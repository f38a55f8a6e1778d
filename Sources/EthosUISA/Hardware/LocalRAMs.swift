/// The internal memories of a U85, in bytes.
public struct LocalRAMs: Sendable, Hashable {
  /// Input blocks (IB).
  public let input: Int
  /// Accumulators (AB).
  public let accumulator: Int
  /// Finished output (OB).
  public let output: Int
  /// Chained and broadcast operands (CB), six slots.
  public let chaining: Int
  /// Look-up tables.
  public let table = 2048

  /// Bytes of one of the six chaining slots.
  public var chainingSlot: Int { chaining / 6 }
}
