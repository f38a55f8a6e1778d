import EthosUISA

/// The registers that only a U85 has: micro-blocks, scales with their own rounding, broadcasts of either
/// operand, 32-bit constants (command stream specification, sections 5 to 9).
extension RegisterWriter {
  /// Everything of an operation but its start.
  ///
  /// There is no register for the order of operands: those that stand the other way round change places.
  mutating func writeU85(_ kernel: NPUKernel, block: KernelBlock) throws {
    let operation = kernel.operation
    if kernel.isSwapped, case .tensor(let first)? = kernel.second {
      try setIFM(first, depth: first.shape.depth)
      try builder.setIFMBroadcast(Self.broadcast(operation.broadcast))
      try setIFM2(kernel.ifm)
      try builder.setIFM2Broadcast(broadcastMode: ISA.BroadcastMode.none)
    } else {
      try setIFM(kernel.ifm, depth: kernel.ifm.shape.depth)
      try builder.setIFMBroadcast(.none)
      switch kernel.second {
      case .tensor(let map):
        try setIFM2(map)
        try builder.setIFM2Broadcast(broadcastMode: Self.broadcast(operation.broadcast))
      case .constant(let value):
        try setIFM2Type(kernel.ifm, isConstant: true)
        try builder.setIFM2Broadcast(broadcastMode: .scalar)
        try builder.setOpScalar(Int(UInt32(truncatingIfNeeded: value)))
      case nil: break
      }
    }
    if case .elementwise = kernel.work {
      try builder.setIFMScale(shift: 0, dblRnd: 0, roundMode: .natural, scale: 1)
      try builder.setIFM2Scale(
        shift: 0, dblRnd: 0, roundMode: .natural, scale: kernel.secondScale)
    }
    try setOFM(kernel.ofm, scale: .global, zeroPoint: kernel.zeroPoint)
    try builder.setOFMScale(
      shift: kernel.shift, scale: Int(kernel.multiplier), dblRnd: 0, roundMode: .natural)
    try setKernel(width: operation.kernel.width)
    try setActivationU85(
      kernel.ofm, minimum: kernel.minimum, maximum: kernel.maximum, usesTable: kernel.usesTable)
    try setBlock(block.block)
    try setAccumulatorsU85(isWide: false, block.microblock)
  }

  /// What a convolution needs after maps, streams and block.
  mutating func finishU85(_ convolution: NPUConvolution, _ block: LinearBlock) throws {
    try builder.setWeightFormat(
      weightFormat: convolution.streams.isFast ? .fwd : .swd, weightSparsity: .none)
    try setActivationU85(
      convolution.ofm, minimum: convolution.minimum, maximum: nil, usesTable: false)
    // Multipliers and shifts are per channel, their rounding is not.
    try builder.setOFMScale(shift: 0, scale: 1, dblRnd: 0, roundMode: .natural)
    // 48-bit accumulators for 16-bit inputs; their scale records differ.
    try setAccumulatorsU85(isWide: convolution.isWide, block.microblock)
  }

  /// Limits are 16 bits wide, so results of 32 bits go without.
  private mutating func setActivationU85(
    _ map: NPUTensor, minimum: Int?, maximum: Int?, usesTable: Bool
  ) throws {
    try builder.setActivation(
      activationFunction: usesTable ? .lutS16S16 : .lutNone,
      activationClipRange: map.element.byteCount > 2 ? ISA.ActivationClipRange.none : .b16,
      table: 0)
    try builder.setActivationMin((minimum ?? map.least) & 0xFFFF)
    try builder.setActivationMax((maximum ?? 32767) & 0xFFFF)
  }

  private mutating func setAccumulatorsU85(isWide: Bool, _ microblock: BlockShape) throws {
    try builder.setAccFormat(
      accFormat: isWide ? .i48 : .i32, accInput: .reset, accOutput: .enable,
      microblock: Self.code(microblock))
  }

  /// The code of a micro-block; its depth follows from the number of multipliers.
  private static func code(_ microblock: BlockShape) -> ISA.Microblock {
    switch (microblock.height, microblock.width) {
    case (1, 1): .u1x1
    case (1, 2): .u1x2
    case (1, 4): .u1x4
    case (2, 2): .u2x2
    case (2, 4): .u2x4
    default: .u4x4
    }
  }

  private static func broadcast(_ axes: KernelOperation.Broadcast) -> ISA.BroadcastMode {
    switch (axes.height, axes.width, axes.depth) {
    case (false, false, false): .none
    case (true, false, false): .h
    case (false, true, false): .w
    case (true, true, false): .hw
    case (false, false, true): .c
    case (true, false, true): .ch
    case (false, true, true): .cw
    case (true, true, true): .cwh
    }
  }
}
