/// What one window of text measured, token by token.
public struct WindowRecord: MeasurementRecord, Equatable {
  /// The window's place among the windows.
  public var index: Int
  /// The negative log likelihood of each predicted token, in nats.
  public var losses: [Float] = []
  /// The same by the reference model, where there is one.
  public var referenceLosses: [Float] = []
  /// The Kullback–Leibler divergence of each prediction from the reference's, in nats.
  public var divergences: [Float] = []
  /// Predictions whose most likely token is the reference's.
  public var agreements: [Bool] = []
  /// Tokens that went through the model, predicted or not.
  public var tokensRun = 0
  /// NPU and CPU cycles of a compiled program; 0 for other models.
  public var npuCycles = 0
  public var cpuCycles = 0
  /// CRC-32 of all logits, as their float32 bytes: equal exactly when two runs gave equal logits.
  public var checksum: UInt32 = 0

  /// A record without tokens.
  public init(index: Int) { self.index = index }
}
