import EthosUISA

/// What the timing of a kernel operation depends on, as plain numbers.
///
/// The simulator fills it from the registers of a stream, the compiler from what it is about to write.
public struct KernelDescription: Sendable, Hashable {
  /// The unit that does the work.
  public enum Kind: Sendable, Hashable {
    case convolution(partKernelFirst: Bool)
    case depthwise
    case pooling(reduceSum: Bool, max: Bool)
    case elementwise(ElementwiseKind)
    case resize
  }

  /// Elementwise operations by how the output unit treats them.
  public enum ElementwiseKind: Sendable, Hashable {
    case unary, binary, multiply, addOrSubtract, divide
  }

  /// What it does.
  public var kind: Kind
  /// The input.
  public var ifm: FeatureMapTraffic
  /// The second input, if it is a tensor.
  public var ifm2: FeatureMapTraffic?
  /// The output.
  public var ofm: FeatureMapTraffic
  /// OFM block.
  public var block: BlockShape
  /// OFM microblock.
  public var microblock: BlockShape
  /// Kernel taps, undilated.
  public var kernelHeight = 1
  public var kernelWidth = 1
  /// Strides and dilations.
  public var strideY = 1
  public var strideX = 1
  public var dilationY = 1
  public var dilationX = 1
  /// Padding before the first row and column.
  public var padTop = 0
  public var padLeft = 0
  /// Whether the IFM is doubled on read.
  public var isUpscaled = false
  /// Whether a table or function is applied.
  public var usesTable = false
  /// Whether values below zero or outside a range are clipped.
  public var usesClip = false
  /// Whether the output is stored reversed or with its axes exchanged.
  public var reordersOutput = false
  /// 40-bit (U85: 48-bit) accumulators.
  public var usesWideAccumulators = false
  /// Encoded weight bytes of all cores; 0 without weights.
  public var weightBytes = 0
  /// Where the weights are.
  public var weightRegion = 0
  /// Bytes of the scale records of all cores.
  public var scaleBytes = 0
  /// Where the scale records are.
  public var scaleRegion = 0
  /// U85: fixed-width weight codes.
  public var isFastFormat = false
  /// U85: 2:4 sparse weights.
  public var isSparse = false
  /// U55, U65: how the shared RAM is divided (IB_END and AB_START); kernels that divide it otherwise
  /// do not overlap.
  public var bufferLayout = 0
  /// BLOCKDEP: blocks of the kernel before that may be unfinished when this one starts.
  public var blockDependency = 0

  /// A kernel with a 1×1 window and nothing optional.
  public init(
    kind: Kind, ifm: FeatureMapTraffic, ifm2: FeatureMapTraffic? = nil, ofm: FeatureMapTraffic,
    block: BlockShape, microblock: BlockShape
  ) {
    self.kind = kind
    self.ifm = ifm
    self.ifm2 = ifm2
    self.ofm = ofm
    self.block = block
    self.microblock = microblock
  }

  /// Whether every input element is needed: strided or padded windows may skip some.
  var isPointwise: Bool {
    if case .resize = kind { return false }
    return strideX <= kernelWidth && strideY <= kernelHeight
  }

  /// Multiply-accumulates (elementwise: element operations), padding taps included.
  public var operations: Int {
    let elements = ofm.height * ofm.width * ofm.depth
    switch kind {
    case .convolution, .pooling(reduceSum: true, max: _):
      return elements * kernelHeight * kernelWidth * ifm.depth
    case .depthwise, .pooling: return elements * kernelHeight * kernelWidth
    case .elementwise, .resize: return elements
    }
  }
}
