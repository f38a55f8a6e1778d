import EthosUISA
import ProgramFormat

/// Writes the registers of one operation at a time, for any product.
///
/// Everything an operation reads is written every time, so no operation depends on what an earlier one
/// left. What the products share is here, what they do not in the extensions.
struct RegisterWriter {
  let accelerator: Accelerator
  let rules: BlockRules
  var builder: StreamBuilder

  /// A writer of one job.
  init(accelerator: Accelerator) {
    self.accelerator = accelerator
    rules = BlockRules(accelerator)
    builder = StreamBuilder(accelerator.product)
  }

  /// Whether registers are those of a U85.
  var isU85: Bool { accelerator.product == .u85 }

  // MARK: Operations

  /// Issues an operation that is no convolution, in blocks of `block`, after `dependency` (BLOCKDEP).
  mutating func issue(_ kernel: NPUKernel, block: KernelBlock, dependency: Int) throws {
    if isU85 {
      try writeU85(kernel, block: block)
    } else {
      try writeU55(kernel, block: block.block)
    }
    try builder.setBlockdep(dependency)
    switch kernel.work {
    case .elementwise(let mode): try builder.opElementwise(mode)
    case .rowMaximum: try builder.opPool(.max)
    case .channelSum: try builder.opPool(.reduceSum)
    }
  }

  /// Issues a convolution.
  mutating func issue(
    _ convolution: NPUConvolution, block: LinearBlock, dependency: Int
  ) throws {
    let streams = convolution.streams
    try setIFM(convolution.ifm, depth: convolution.ifm.shape.depth)
    try setOFM(convolution.ofm, scale: .perChannel)
    try setKernel(width: 1)
    try builder.setWeightRegion(region: streams.weights.region.rawValue)
    try builder.setScaleRegion(region: streams.scales.region.rawValue)
    try builder.setScaleBase(streams.scales.offset)
    try builder.setScaleLength(streams.scales.bytes)
    try setWeights(streams)
    try setBlock(block.shape)
    if isU85 {
      try finishU85(convolution, block)
    } else {
      try finishU55(convolution, block)
    }
    try builder.setBlockdep(dependency)
    try builder.opConv()
  }

  /// The places of a convolution's weight streams, one a decoder.
  private mutating func setWeights(_ streams: WeightStreams) throws {
    var at = streams.weights.offset
    for (decoder, length) in streams.streamBytes.enumerated() {
      switch decoder {
      case 0:
        try builder.setWeightBase(at)
        try builder.setWeightLength(length)
      case 1:
        try builder.setWeight1Base(at)
        try builder.setWeight1Length(length)
      case 2:
        try builder.setWeight2Base(at)
        try builder.setWeight2Length(length)
      default:
        try builder.setWeight3Base(at)
        try builder.setWeight3Length(length)
      }
      at += length
    }
  }

  /// Queues the copy of a 16-bit table to where look-ups read it.
  mutating func loadTable(_ place: NPUTensor, bytes: Int) throws {
    // The region of an internal destination is a mask of cores.
    try builder.transfer(
      from: place.base.rawValue, offset: place.offset, to: isU85 ? 3 : 0,
      offset: accelerator.sharedRAM?.tableOffset ?? 0, length: bytes, internalDestination: true)
  }

  // MARK: Feature maps

  /// The first operand of an operation over `depth` channels.
  mutating func setIFM(_ map: NPUTensor, depth: Int) throws {
    try builder.setIFMRegion(region: map.base.rawValue)
    try builder.setIFMBase0(map.offset)
    try builder.setIFMBase1(0)
    try builder.setIFMBase2(0)
    try builder.setIFMBase3(0)
    try builder.setIFMHeight0M1(map.shape.height - 1)
    try builder.setIFMHeight1M1(map.shape.height - 1)
    try builder.setIFMWidth0M1(map.shape.width - 1)
    try builder.setIFMDepthM1(depth - 1)
    try builder.setIFMStrideY(map.strideY)
    try builder.setIFMStrideX(map.strideX)
    try builder.setIFMStrideC(map.element.byteCount)
    try builder.setIFMZeroPoint(0)
    // A U85 has scale and rounding in registers of their own.
    try builder.setIFMPrecision(
      activationType: map.signedness, activationPrecision: map.precision, activationFormat: .nhwc,
      scaleMode: isU85 ? nil : .opaOPB16, roundMode: isU85 ? nil : .natural)
    try builder.setIFMUpscale(.none)
    try builder.setIFMPadTop(0)
    try builder.setIFMPadLeft(0)
    try builder.setIFMPadBottom(0)
    try builder.setIFMPadRight(0)
  }

  /// The second operand.
  mutating func setIFM2(_ map: NPUTensor) throws {
    try builder.setIFM2Region(map.base.rawValue)
    try builder.setIFM2Base0(map.offset)
    try builder.setIFM2Base1(0)
    try builder.setIFM2Base2(0)
    try builder.setIFM2Base3(0)
    try builder.setIFM2Height0M1(map.shape.height - 1)
    try builder.setIFM2Height1M1(map.shape.height - 1)
    try builder.setIFM2Width0M1(map.shape.width - 1)
    try builder.setIFM2StrideY(map.strideY)
    try builder.setIFM2StrideX(map.strideX)
    try builder.setIFM2StrideC(map.element.byteCount)
    try setIFM2Type(map)
  }

  /// The type of the second operand, which is a constant on a U85 when it has no storage.
  mutating func setIFM2Type(_ map: NPUTensor, isConstant: Bool = false) throws {
    try builder.setIFM2ZeroPoint(0)
    try builder.setIFM2Precision(
      activationType: map.signedness, activationPrecision: map.precision, activationFormat: .nhwc,
      activationStorage: isConstant && isU85 ? ISA.ActivationStorage.none : nil)
  }

  /// The result.
  mutating func setOFM(
    _ map: NPUTensor, scale: ISA.OFMScaleMode, zeroPoint: Int = 0
  ) throws {
    try builder.setOFMRegion(region: map.base.rawValue)
    try builder.setOFMBase0(map.offset)
    try builder.setOFMBase1(0)
    try builder.setOFMBase2(0)
    try builder.setOFMBase3(0)
    try builder.setOFMHeightM1(map.shape.height - 1)
    try builder.setOFMWidthM1(map.shape.width - 1)
    try builder.setOFMDepthM1(map.shape.depth - 1)
    try builder.setOFMHeight0M1(map.shape.height - 1)
    try builder.setOFMHeight1M1(map.shape.height - 1)
    try builder.setOFMWidth0M1(map.shape.width - 1)
    try builder.setOFMStrideY(map.strideY)
    try builder.setOFMStrideX(map.strideX)
    try builder.setOFMStrideC(map.element.byteCount)
    try builder.setOFMZeroPoint(zeroPoint)
    try builder.setOFMPrecision(
      activationType: map.signedness, activationPrecision: map.precision, activationFormat: .nhwc,
      scaleMode: scale, roundMode: isU85 ? nil : .natural)
  }

  /// A kernel of one row, without steps or gaps.
  mutating func setKernel(width: Int) throws {
    try builder.setKernelHeightM1(0)
    try builder.setKernelWidthM1(width - 1)
    try builder.setKernelStride(
      strideXLsb: 0, strideYLsb: 0, weightOrder: .depthFirst, dilationX: .none, dilationY: .none,
      decomposition: .d8x8, strideXMsb: 0, strideYMsb: 0)
  }

  /// The size of OFM blocks.
  mutating func setBlock(_ block: BlockShape) throws {
    try builder.setOFMBlkHeightM1(block.height - 1)
    try builder.setOFMBlkWidthM1(block.width - 1)
    try builder.setOFMBlkDepthM1(block.depth - 1)
  }
}

extension NPUTensor {
  fileprivate var signedness: ISA.ActivationType {
    element == .uint8 ? .unsigned : .signed
  }

  fileprivate var precision: ISA.ActivationPrecision {
    switch element.byteCount {
    case 1: .b8
    case 2: .b16
    default: .b32
    }
  }
}
