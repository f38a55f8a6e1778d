import EthosUISA

/// How fast the NPU can read one memory: what the memory gives, and what its streams can ask for while
/// answers are on their way.
public struct StreamRates: Sendable, Hashable {
  /// Bytes a cycle that the memory gives, to all streams together.
  public let memory: Double
  /// Bytes a cycle that convolutions can fetch of their weights.
  public let weights: Double
  /// Bytes a cycle that the DMA can fetch.
  public let transfer: Double

  /// The rates of a configuration's streams from a memory.
  ///
  /// A stream has at most its read buffer in flight (`Docs/Timing.md`, fact 1), all streams together
  /// what the memory may leave unanswered.
  public init(_ timing: MemoryTiming, accelerator: Accelerator) {
    let micro = Microarchitecture(accelerator)
    let burst = Double(timing.burstBeats * timing.beatBytes)
    let own = timing.bytesPerCycle
    let trip = Double(timing.readLatency) + burst / max(own, 1e-6) + Double(micro.turnaround)
    var memory = own
    if timing.maximumReads > 0 {
      memory = min(memory, Double(timing.maximumReads) * burst / trip)
    }
    func window(_ stream: ReadStream) -> Double {
      min(memory, max(Double(micro.readBuffer(stream)), burst) / trip)
    }
    self.memory = memory
    weights = window(.weights)
    transfer = window(.transfer)
  }

  /// Bytes a cycle of both streams side by side.
  public var together: Double { min(memory, weights + transfer) }
}
