/// Which OFM blocks an operation may use on a configuration, and what buffers they need.
///
/// Formulas: block-configuration rules as Vela 5.2.0 follows them; the buffer registers of its
/// streams are reproduced by the tests.
public struct BlockRules: Sendable {
  /// The configuration.
  public let accelerator: Accelerator

  /// The rules of `accelerator`.
  public init(_ accelerator: Accelerator) { self.accelerator = accelerator }

  /// The IFM block that an OFM block needs in internal memory.
  ///
  /// - Parameter microblock: U85: the chosen microblock; else the only one.
  public func ifmBlock(
    _ operation: KernelOperation, block: BlockShape, microblock: BlockShape? = nil
  ) -> BlockShape {
    let unit = microblock ?? accelerator.microblock
    let depth = ifmBlockDepth(operation, block: block, microblock: unit)
    var granule = (height: unit.height, width: unit.width)
    var storedDepth = depth
    if accelerator.product == .u85 {
      let piece = AllocationUnit.of(
        accelerator, microblock: unit, depthBits: depth * operation.ifmBits)
      granule = (piece.height, piece.width)
      storedDepth = roundUp(depth, max(1, piece.depth(bits: operation.ifmBits)))
    }
    return BlockShape(
      roundUp(
        needed(block.height, operation.stride.y, operation.kernel.height, operation.upscaling),
        granule.height),
      roundUp(
        needed(block.width, operation.stride.x, operation.kernel.width, operation.upscaling),
        granule.width),
      storedDepth)
  }

  /// Input rows or columns under `count` outputs in one pass over at most eight kernel elements.
  private func needed(
    _ count: Int, _ stride: Int, _ kernel: Int, _ upscaling: KernelOperation.Upscaling
  ) -> Int {
    let size = (count - 1) * stride + min(kernel, Accelerator.subKernelLimit)
    switch upscaling {
    case .none: return size
    case .nearest: return ceilDivide(size + 1, 2)
    case .zeros: return ceilDivide(size, 2)
    }
  }

  /// Channels of the IFM block, before it is rounded to pieces of memory.
  public func ifmBlockDepth(
    _ operation: KernelOperation, block: BlockShape, microblock: BlockShape? = nil
  ) -> Int {
    if operation.keepsDepth { return block.depth }
    let channels = operation.ifm.depth
    guard accelerator.product == .u85 else {
      if operation.ifmBits == 16 { return roundUp(min(channels, 16), 4) }
      return roundUp(min(channels, operation.partKernelFirst ? 16 : 32), 8)
    }
    let unit = microblock ?? accelerator.microblock
    let limit: Int
    if operation.partKernelFirst {
      limit = 16
    } else if operation.ifmBits == 32
      || (accelerator.macs <= 256 && unit.depth == 16 && !operation.isSparse)
    {
      limit = 32
    } else if operation.isSparse && operation.ifmBits == 8 {
      limit = 128
    } else {
      limit = 64
    }
    return min(limit, channels)
  }

  /// Bits of the accumulators that an operation wants: wide ones for scaled 16-bit sums.
  ///
  /// - Parameters:
  ///   - isScaled: whether the result goes through the output scale.
  ///   - hasWideElements: whether the IFM or OFM has 64-bit elements (U85).
  public func accumulatorBits(
    _ kind: KernelOperation.Kind, ifmBits: Int, isScaled: Bool, hasWideElements: Bool = false
  ) -> Int {
    let isPooling = kind == .pooling || kind == .argMax
    if accelerator.product == .u85 {
      if kind == .reduceSum { return 32 }
      return hasWideElements || (ifmBits == 16 && !isPooling && isScaled) ? 48 : 32
    }
    return ifmBits == 16 && !isPooling && isScaled ? 40 : 32
  }

  /// Whether the block's sizes are possible at all: multiples of the microblock, within the limits,
  /// and of 16 channels when more than one block is needed along the depth.
  public func hasLegalShape(
    _ operation: KernelOperation, block: BlockShape, microblock: BlockShape? = nil
  ) -> Bool {
    let unit = microblock ?? accelerator.microblock
    let limit = accelerator.blockLimit
    guard block.height > 0, block.width > 0, block.depth > 0, block.height <= limit.height,
      block.width <= limit.width, block.depth <= limit.depth,
      block.height % unit.height == 0, block.width % unit.width == 0
    else { return false }
    guard block.depth % min(16, unit.depth) == 0 else { return false }
    return operation.ofm.depth <= block.depth || block.depth % 16 == 0
  }

  /// Whether the operation may use the block: its shape is possible and its buffers fit.
  public func isLegal(
    _ operation: KernelOperation, block: BlockShape, microblock: BlockShape? = nil
  ) -> Bool {
    accelerator.product == .u85
      ? fitsLocalRAMs(operation, block: block, microblock: microblock)
      : sharedRAMLayout(operation, block: block) != nil
  }
}
