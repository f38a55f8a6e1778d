import EthosUISA
import ProgramFormat

/// A 1×1 convolution: where its maps, its weight streams and its scale records are.
struct NPUConvolution {
  /// The input and the output.
  let ifm: NPUTensor
  let ofm: NPUTensor
  let streams: WeightStreams
  /// Whether inputs have 16 bits, which wide accumulators add up.
  var isWide: Bool { ifm.element == .int16 }
  /// The smallest stored value; nil is the type's.
  var minimum: Int?

  /// What it is to block rules and dependencies.
  func operation(on accelerator: Accelerator) -> KernelOperation {
    LinearTiling.operation(
      ifm: ifm.shape, ofm: ofm.shape, bits: isWide ? 16 : 8, ofmBits: ofm.element.byteCount * 8,
      on: accelerator)
  }
}

/// The streams that a convolution reads.
struct WeightStreams {
  /// Where the scale records are, and their bytes.
  let scales: (region: Region, offset: Int, bytes: Int)
  /// Where the first weight stream is; the others follow it.
  let weights: (region: Region, offset: Int)
  /// Bytes of each weight stream.
  let streamBytes: [Int]
  /// Whether they have the fixed-width format of the U85's fast decoder.
  let isFast: Bool

  /// All bytes of the weight streams.
  var weightBytes: Int { streamBytes.reduce(0, +) }
}

/// A convolution whose weights are keys or values (``CacheLayout``).
struct CachedConvolution {
  let convolution: NPUConvolution
  /// The form of its stream.
  let blockDepth: Int
  let microblock: BlockShape
}
