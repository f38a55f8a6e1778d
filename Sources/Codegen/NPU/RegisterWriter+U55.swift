import EthosUISA
import Support

/// The registers that only a U55 or U65 has: buffers in the shared RAM, operand scales and order.
extension RegisterWriter {
  /// Everything of an operation but its start.
  mutating func writeU55(_ kernel: NPUKernel, block: BlockShape) throws {
    let operation = kernel.operation
    guard let layout = rules.sharedRAMLayout(operation, block: block) else {
      throw DiagnosticError("codegen.block", "an operation has no legal block")
    }
    try setIFM(kernel.ifm, depth: kernel.ifm.shape.depth)
    try setOFM(kernel.ofm, scale: .global, zeroPoint: kernel.zeroPoint)
    try builder.setOFMScale(shift: kernel.shift, scale: Int(kernel.multiplier))
    try setKernel(width: operation.kernel.width)
    try builder.setActivation(
      activationFunction: kernel.usesTable ? Self.table(for: kernel.ofm) : .relu,
      activationClipRange: .ofmPrecision)
    try builder.setActivationMin((kernel.minimum ?? kernel.ofm.least) & 0xFFFF)
    try builder.setActivationMax((kernel.maximum ?? 32767) & 0xFFFF)
    try setBlock(block)
    try builder.setIFMIBEnd(layout.ifmEnd)
    try builder.setABStart(layout.accumulatorStart)
    try builder.setAccFormat(accFormat: .i32)
    guard let second = kernel.second else { return }
    switch second {
    case .tensor(let map):
      try setIFM2(map)
      try builder.setIFM2Broadcast(
        broadcastH: operation.broadcast.height ? .enable : .disable,
        broadcastW: operation.broadcast.width ? .enable : .disable,
        broadcastC: operation.broadcast.depth ? .enable : .disable,
        operandOrder: kernel.isSwapped ? .orderA : .orderB,
        broadcastConstant: .disable)
      if let start = layout.ifm2Start { try builder.setIFM2IBStart(start) }
    case .constant(let value):
      try setIFM2Type(kernel.ifm)
      try builder.setIFM2Broadcast(
        broadcastH: .disable, broadcastW: .disable, broadcastC: .disable,
        operandOrder: kernel.isSwapped ? .orderA : .orderB, broadcastConstant: .enable)
      try builder.setIFM2Scalar(value & 0xFFFF)
    }
    try builder.setOPAScale(shift: 0, scale: 1)
    try builder.setOPBScale(kernel.secondScale)
  }

  /// The table of a result: that of bytes is the last of eight, in words that 16-bit tables do not use
  /// (`FixedTables.spareWords`).
  private static func table(for map: NPUTensor) -> ISA.ActivationFunction {
    map.element == .int8 ? .table7 : .table0
  }

  /// What a convolution needs after maps, streams and block.
  mutating func finishU55(_ convolution: NPUConvolution, _ block: LinearBlock) throws {
    try builder.setActivation(activationFunction: .relu, activationClipRange: .ofmPrecision)
    try builder.setActivationMin((convolution.minimum ?? -32768) & 0xFFFF)
    try builder.setActivationMax(0x7FFF)
    if let banks = block.banks {
      try builder.setIFMIBEnd(banks.ifmEnd)
      try builder.setABStart(banks.accumulatorStart)
    }
    // 40-bit accumulators for 16-bit inputs.
    try builder.setAccFormat(accFormat: convolution.isWide ? .i40 : .i32)
  }

  /// The registers that place buffers, as one number; the timing model cares whether it changes.
  func bufferLayout(of operation: KernelOperation, block: BlockShape) -> Int {
    rules.sharedRAMLayout(operation, block: block).map { $0.ifmEnd << 8 | $0.accumulatorStart } ?? 0
  }
}
