import EthosUISA

/// How a 1×1 convolution over some tokens sits in the NPU's internal memory.
struct LinearBlock: Hashable {
  /// The OFM block.
  let shape: BlockShape
  /// The micro-block it consists of.
  let microblock: BlockShape
  /// U55 and U65: where its buffers lie; a U85 needs no such registers.
  let banks: Banks?

  /// Banks of the shared RAM.
  struct Banks: Hashable {
    /// First bank after the IFM buffers.
    let ifmEnd: Int
    /// First bank of the accumulators.
    let accumulatorStart: Int
  }
}

/// Chooses depth slices and blocks for linear layers.
///
/// The order of the weights depends on block depth and micro-block, so all batch sizes share both.
struct LinearTiling {
  let accelerator: Accelerator

  /// The widest batch that gets its products in one pass over the weights with buffers to spare.
  private static let batch = 8

  /// The operation a linear layer is: one row of tokens.
  static func operation(
    tokens: Int, inputs: Int, outputs: Int, bits: Int, ofmBits: Int, on accelerator: Accelerator
  ) -> KernelOperation {
    operation(
      ifm: BlockShape(1, tokens, inputs), ofm: BlockShape(1, tokens, outputs), bits: bits,
      ofmBits: ofmBits, on: accelerator)
  }

  /// The operation that a 1×1 convolution is.
  static func operation(
    ifm: BlockShape, ofm: BlockShape, bits: Int, ofmBits: Int, on accelerator: Accelerator
  ) -> KernelOperation {
    var operation = KernelOperation(.convolution, ifm: ifm, ofm: ofm)
    operation.ifmBits = bits
    operation.ofmBits = ofmBits
    operation.accumulatorBits = BlockRules(accelerator).accumulatorBits(
      .convolution, ifmBits: bits, isScaled: true)
    return operation
  }

  /// The micro-block of inputs of `bits` bits: the flattest that may be used, because there is one row
  /// and often one token.
  func microblock(bits: Int) -> BlockShape {
    let operation = Self.operation(
      tokens: 1, inputs: 16, outputs: 16, bits: bits, ofmBits: 16, on: accelerator)
    return BlockRules(accelerator).legalMicroblocks(operation).min {
      ($0.height, $0.width) < ($1.height, $1.width)
    } ?? accelerator.microblock
  }

  /// The deepest legal OFM block that every batch size can use, so that all share one weight order.
  func blockDepth(inputs: Int, outputs: Int, bits: Int) -> Int {
    let unit = max(16, microblock(bits: bits).depth)
    var limit = 128
    if let rams = accelerator.localRAMs {
      // Two blocks of a batch fit, so that one is stored while the next is computed.
      limit = min(limit, rams.accumulator / 2 / (Self.batch * (bits == 16 ? 8 : 4)))
    }
    limit = min(limit, (outputs + unit - 1) / unit * unit)
    for depth in stride(from: limit / unit * unit, to: unit, by: -unit)
    where block(tokens: 1, inputs: inputs, depth: depth, bits: bits) != nil {
      return depth
    }
    return unit
  }

  /// The widest legal block of the given depth; nil when none is.
  func block(tokens: Int, inputs: Int, depth: Int, bits: Int) -> LinearBlock? {
    block(
      of: Self.operation(
        tokens: tokens, inputs: inputs, outputs: depth, bits: bits, ofmBits: 16, on: accelerator),
      depth: depth, microblock: microblock(bits: bits))
  }

  /// The largest legal block of the given depth, wide rather than high; nil when none is.
  func block(of operation: KernelOperation, depth: Int, microblock unit: BlockShape) -> LinearBlock?
  {
    let rules = BlockRules(accelerator)
    func most(_ extent: Int, _ step: Int, _ limit: Int) -> Int {
      min(limit, (extent + step - 1) / step * step)
    }
    for height in stride(
      from: most(operation.ofm.height, unit.height, 32), through: unit.height, by: -unit.height)
    {
      for width in stride(
        from: most(operation.ofm.width, unit.width, 64), through: unit.width, by: -unit.width)
      {
        let shape = BlockShape(height, width, depth)
        if accelerator.product == .u85 {
          if rules.isLegal(operation, block: shape, microblock: unit) {
            return LinearBlock(shape: shape, microblock: unit, banks: nil)
          }
        } else if let layout = rules.sharedRAMLayout(operation, block: shape) {
          return LinearBlock(
            shape: shape, microblock: unit,
            banks: LinearBlock.Banks(
              ifmEnd: layout.ifmEnd, accumulatorStart: layout.accumulatorStart))
        }
      }
    }
    return nil
  }

  /// The scale records of consecutive channels. A U85 reads them for whole micro-blocks.
  func scaleStream(_ records: [ScaleRecord], bits: Int) -> [UInt8] {
    guard accelerator.product == .u85 else { return ScaleRecord.stream(records) }
    return ScaleRecord.stream(
      records, layout: bits == 16 ? .u85Acc48 : .u85Acc32,
      channelMultiple: max(16, microblock(bits: bits).depth))
  }

  /// Channels of one depth slice, so that its raw weights stay near `targetBytes`: a multiple of the
  /// block depth where that fits, else of `unit`.
  static func sliceChannels(
    inputs: Int, outputs: Int, blockDepth: Int, unit: Int = 16, targetBytes: Int
  ) -> Int {
    let wanted = max(targetBytes / max(inputs, 1), unit)
    if wanted >= outputs { return outputs }
    let step = wanted >= blockDepth ? blockDepth : unit
    return max(wanted / step * step, unit)
  }
}
