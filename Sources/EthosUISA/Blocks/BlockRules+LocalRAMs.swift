extension BlockRules {
  /// Whether the buffers of `operation` with `block` fit the memories of a U85.
  func fitsLocalRAMs(
    _ operation: KernelOperation, block: BlockShape, microblock: BlockShape?
  ) -> Bool {
    guard let rams = accelerator.localRAMs,
      hasLegalShape(operation, block: block, microblock: microblock)
    else { return false }
    switch operation.kind {
    case .elementwise: return fitsElementwise(operation, block, microblock, rams)
    case .resize: return fitsResize(operation, block, rams)
    default: break
    }
    let accumulatorBytes = operation.accumulatorBits == 48 ? 8 : 4
    guard
      block.height * block.width * roundUp(block.depth, 16) * accumulatorBytes <= rams.accumulator
    else { return false }
    return ifmBytes(operation, block: block, microblock: microblock) <= rams.input
  }

  /// Bytes of the IFM block, or of the whole IFM in pieces of memory when that is less.
  public func ifmBytes(
    _ operation: KernelOperation, block: BlockShape, microblock: BlockShape? = nil
  ) -> Int {
    let unit = microblock ?? accelerator.microblock
    let ifm = ifmBlock(operation, block: block, microblock: unit)
    let bits = operation.ifmBits
    let piece = AllocationUnit.of(
      accelerator, microblock: unit,
      depthBits: ifmBlockDepth(operation, block: block, microblock: unit) * bits)
    let whole =
      roundUp(operation.ifm.height, piece.height) * roundUp(operation.ifm.width, piece.width)
      * roundUp(operation.ifm.depth, max(1, piece.depth(bits: bits)))
    return min(whole, ifm.elements) * bits / 8
  }

  /// One row of the block has to fit the output RAM, broadcast operands the chaining RAM.
  private func fitsElementwise(
    _ operation: KernelOperation, _ block: BlockShape, _ microblock: BlockShape?, _ rams: LocalRAMs
  ) -> Bool {
    guard block.width * block.depth * operation.ifmBits <= rams.output * 8 else { return false }
    let unit = microblock ?? accelerator.microblock
    let slot = rams.chainingSlot / (16 * operation.ifmBits / 8) / unit.height
    // A block may exceed the OFM; what is outside takes no room.
    let width = min(block.width, roundUp(operation.ofm.width, unit.width))
    let bricks = ceilDivide(min(block.depth, operation.ofm.depth), 16)
    if operation.broadcast.depth, width > slot { return false }
    if operation.broadcast.height, width * bricks > slot { return false }
    return true
  }

  /// One row, sixteen channels, and as many columns as the chaining RAM holds inputs for.
  private func fitsResize(
    _ operation: KernelOperation, _ block: BlockShape, _ rams: LocalRAMs
  ) -> Bool {
    guard block.height == 1, block.depth <= 16, let (n, d) = operation.resize, d > 0 else {
      return false
    }
    let slot = rams.chainingSlot / (16 * operation.ifmBits / 8)
    return block.width <= min(128, ceilDivide((slot - 2) * n + 1, d))
  }
}

extension BlockRules {
  /// The microblock of an ACC_FORMAT code; its depth follows from the multiplier count. Nil when
  /// the configuration cannot have it.
  public func microblock(_ code: ISA.Microblock) -> BlockShape? {
    let (height, width): (Int, Int) =
      switch code {
      case .u1x1: (1, 1)
      case .u1x2: (1, 2)
      case .u1x4: (1, 4)
      case .u2x2: (2, 2)
      case .u2x4: (2, 4)
      case .u4x4: (4, 4)
      }
    let unit = BlockShape(height, width, accelerator.macs / (8 * height * width))
    return accelerator.microblocks.contains(unit) ? unit : nil
  }
}
