import EthosUISA

/// The sizes and rates of one configuration that timing depends on.
///
/// Sources: [V] Arm Vela 5.x, the architecture descriptions of its C++ compiler; [M] published
/// measurements on Arm's FVPs, from which a value was inferred as `Docs/Timing.md` explains; [A] an
/// assumption no public fact decides.
public struct Microarchitecture: Sendable, Hashable {
  /// The configuration.
  public let accelerator: Accelerator

  /// The sizes of a configuration.
  public init(_ accelerator: Accelerator) { self.accelerator = accelerator }

  var isU85: Bool { accelerator.product == .u85 }

  /// Bytes of an AXI beat: U55 64-bit ports, U65 and U85 128-bit [V].
  public var beatBytes: Int { accelerator.product == .u55 ? 8 : 16 }

  /// Bytes a read stream may have in flight or waiting to be used.
  ///
  /// U85: the read buffers of Vela's architecture description, in 16-byte words [V]; that they act as
  /// windows is seen in the sweeps of read latency [M]. U55 and U65: not public. Half a kilobyte
  /// covers eight transactions, which is what Arm's kit lets through to SRAM [A].
  func readBuffer(_ stream: ReadStream) -> Int {
    guard isU85 else { return accelerator.product == .u55 ? 512 : 1024 }
    // By 128, 256, 512, 1024 and 2048 products a cycle. Vectors, as this is asked for every burst.
    let words: SIMD8<Int> =
      switch stream {
      case .transfer: [64, 104, 128, 256, 256, 0, 0, 0]
      case .weights: [128, 128, 256, 416, 512, 0, 0, 0]
      case .fastWeights: [128, 128, 256, 208, 256, 0, 0, 0]
      case .ifm: [104, 128, 128, 256, 256, 0, 0, 0]
      case .scales: [16, 16, 16, 16, 16, 0, 0, 0]
      }
    let column = min(max(accelerator.macs, 128).trailingZeroBitCount - 7, 4)
    return 16 * words[column]
  }

  /// Cycles from the last data of a transaction until its slot can be used again: U55 14, because two
  /// outstanding bursts of 8 beats hold a slot latency + 8 + 14 cycles in the sweeps on Corstone-300;
  /// U85 0, because one outstanding burst takes latency + 7.5 cycles on Corstone-320 [M].
  var turnaround: Int { isU85 ? 0 : 14 }

  /// Beats of a weight or command burst: 8 on all, from beats and transactions of published runs [M].
  static let burstBeats = 8

  /// Kernel operations and transfers the queues hold [V].
  var kernelQueue: Int { 2 }
  var transferQueue: Int {
    switch accelerator.product {
    case .u55: 1
    case .u65: 2
    case .u85: 4
    }
  }

  /// Encoded bytes a weight decoder takes in a cycle: eight. Incompressible weights decode at 7.2 to 8
  /// a cycle, and a byte is what such a weight takes [V, M].
  static let decoderBytes = 8

  /// Weights a decoder gives in a cycle at most: 32, at 90 % zeros and in the fixed-width format [V].
  static let decoderWeights = 32

  /// Bytes of encoded weights that go through the decoder at a time: a burst.
  static let weightSet = 128

  /// Sets the weight buffer holds: two times 64 weights for each channel of a microblock, one half in
  /// use while the other fills [A; the stalls of published runs while memory is held back fit].
  func weightSets(_ microblock: BlockShape) -> Int {
    max(2, 128 * microblock.depth * accelerator.cores / Self.weightSet)
  }

  /// Weight decoders that work side by side on one stream set.
  var decoders: Int { max(accelerator.weightDecoders, accelerator.cores, 1) }

  /// Bytes of finished output that wait for memory. U85: the output RAM [V]; else two banks of 1 KiB
  /// a core [V].
  var outputBuffer: Int { accelerator.localRAMs?.output ?? 2048 * accelerator.cores }

  /// Cycles from the operation's command to its first memory request [A]: a few pipeline stages.
  var kernelStart: Int { 8 }

  /// Cycles from input to the first products of an operation: 100 for each weight decoder, what isolated
  /// operators without memory latency take on U85-256 and U85-512 beyond transfers and products [M];
  /// U55 and U65: a few pipeline stages [A].
  var arrayFill: Int { isU85 ? 200 : 16 }

  /// Cycles an accumulator or input block spends on its way from one unit to the next [A].
  var handOver: Int { 4 }
}

/// The streams that read memory for a kernel, each with a window of its own.
enum ReadStream {
  case transfer, weights, fastWeights, ifm, scales
}
