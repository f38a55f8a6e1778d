/// A block and the estimated traffic it causes.
public struct BlockChoice: Sendable, Hashable {
  /// The OFM block.
  public let block: BlockShape
  /// U85: the microblock; else the only one.
  public let microblock: BlockShape
  /// Estimated bytes read for each OFM element; for elementwise operations the number of blocks.
  public let cost: Double
}

extension BlockRules {
  /// Legal blocks of `operation`, by rising depth, height and width.
  ///
  /// Sizes go in microblock steps up to the OFM (rounded up) or the limit; depths in steps of 16,
  /// below that in microblock steps. Wide U85 ranges are thinned to powers of two and the ends, so
  /// the list stays short.
  public func candidates(
    _ operation: KernelOperation, microblock: BlockShape? = nil
  ) -> [BlockShape] {
    let unit = microblock ?? accelerator.microblock
    let limit = accelerator.blockLimit
    var blocks: [BlockShape] = []
    for depth in depths(operation, unit) {
      for height in sizes(operation.ofm.height, step: unit.height, limit: limit.height) {
        for width in sizes(operation.ofm.width, step: unit.width, limit: limit.width) {
          let block = BlockShape(height, width, depth)
          if isLegal(operation, block: block, microblock: unit) { blocks.append(block) }
        }
      }
    }
    return blocks
  }

  private func sizes(_ size: Int, step: Int, limit: Int) -> [Int] {
    let end = min(roundUp(size, step), limit / step * step)
    let all = Array(Swift.stride(from: step, through: max(step, end), by: step))
    guard all.count > 16, accelerator.product == .u85 else { return all }
    return all.filter { ($0 / step).nonzeroBitCount == 1 || $0 == all.last }
  }

  private func depths(_ operation: KernelOperation, _ unit: BlockShape) -> [Int] {
    let limit = accelerator.blockLimit.depth
    let end = min(limit, roundUp(operation.ofm.depth, 16))
    let coarse = Array(Swift.stride(from: 16, through: max(16, end), by: 16))
    if accelerator.product == .u85 {
      return coarse.count <= 16
        ? coarse : coarse.filter { ($0 / 16).nonzeroBitCount == 1 || $0 == coarse.last }
    }
    guard operation.ofm.depth < 16 else { return coarse }
    let fine = roundUp(operation.ofm.depth, unit.depth)
    return fine < 16 ? [fine, 16] : [16]
  }

  /// Estimated traffic of a block, in bytes read for each OFM element.
  ///
  /// The IFM is read again for every step along the depth, the weights for every step across the
  /// map. Half when two IFM blocks hold the whole IFM.
  public func cost(
    _ operation: KernelOperation, block: BlockShape, microblock: BlockShape? = nil
  ) -> Double {
    let ofm = operation.ofm
    if operation.kind == .elementwise || operation.kind == .resize {
      return Double(ofm.elements) / Double(block.elements)
    }
    let ifm = ifmBlock(operation, block: block, microblock: microblock)
    let kernel = operation.kernel
    let passes =
      ceilDivide(kernel.height, Accelerator.subKernelLimit)
      * ceilDivide(kernel.width, Accelerator.subKernelLimit)
    let across = (
      real: max(1, Double(ofm.height) / Double(block.height))
        * max(1, Double(ofm.width) / Double(block.width)),
      whole: ceilDivide(ofm.height, block.height) * ceilDivide(ofm.width, block.width)
    )
    let along = operation.keepsDepth ? 1 : ceilDivide(ofm.depth, block.depth)
    // Floating point, because hostile registers overflow integers here.
    let input = Double(ifm.height * ifm.width) * Double(operation.ifm.depth)
    let inputs =
      input * Double(passes * along) * across.real * Double(operation.ifmBits) / 8
    var weights = 0.0
    if operation.kind == .convolution || operation.kind == .depthwise {
      weights = Double(kernel.height * kernel.width) * Double(operation.ifm.depth * across.whole)
      if operation.kind == .convolution { weights *= Double(ofm.depth) }
    }
    let cost = (inputs + weights) / Double(max(1, ofm.elements))
    return operation.ifm.elements < 2 * ifm.elements ? cost / 2 : cost
  }

  /// The cheapest legal block; the larger of equals. Nil when the operation has none.
  ///
  /// On a U85 all microblocks that the operation may use are tried, unless one is given.
  public func choose(
    _ operation: KernelOperation, microblock: BlockShape? = nil
  ) -> BlockChoice? {
    var best: BlockChoice?
    for unit in microblock.map({ [$0] }) ?? legalMicroblocks(operation) {
      for block in candidates(operation, microblock: unit) {
        let cost = cost(operation, block: block, microblock: unit)
        if let found = best,
          cost > found.cost || (cost == found.cost && block.elements <= found.block.elements)
        {
          continue
        }
        best = BlockChoice(block: block, microblock: unit, cost: cost)
      }
    }
    return best
  }

  /// Microblocks that the operation may use; one on U55 and U65.
  public func legalMicroblocks(_ operation: KernelOperation) -> [BlockShape] {
    guard accelerator.product == .u85 else { return accelerator.microblocks }
    return accelerator.microblocks.filter { unit in
      isLegal(microblock: unit, for: operation)
    }
  }

  private func isLegal(microblock unit: BlockShape, for operation: KernelOperation) -> Bool {
    let kind = operation.kind
    let bits = operation.ifmBits
    let isDeep = unit.depth == 16
    let always = kind == .elementwise || kind == .resize
    switch accelerator.macs {
    case 128, 256:
      if bits >= 32 { return always || (!isDeep && kind != .matrixProduct) }
      if !isDeep {
        if bits == 16 || always { return true }
        return kind == .convolution || kind == .matrixProduct || kind == .reduceSum
      }
      if always { return true }
      if bits == 16 {
        return kind == .convolution && operation.kernel == (1, 1) && !operation.partKernelFirst
      }
      return kind == .depthwise || kind == .pooling || kind == .argMax
    case 512:
      return bits < 32 || always || kind == .reduceSum || kind == .pooling
    default:
      if !isDeep {
        if kind == .elementwise { return true }
        return bits < 32 && (kind == .convolution || kind == .matrixProduct)
      }
      if bits >= 32 { return always || kind == .reduceSum || kind == .pooling }
      return kind != .matrixProduct
    }
  }

  /// Whether weights are best ordered kernel part first: when fewer of them are padding.
  ///
  /// A fully connected layer is depth first. Any order is legal.
  public func prefersPartKernelFirst(_ operation: KernelOperation) -> Bool {
    guard operation.kind == .convolution else { return false }
    let channels = operation.ifm.depth
    let height = (operation.kernel.height - 1) / operation.dilation.y + 1
    let width = (operation.kernel.width - 1) / operation.dilation.x + 1
    let elements = height * width
    func share(_ used: Int, _ padded: Int) -> Double { Double(used) / Double(max(1, padded)) }
    if accelerator.product == .u85 {
      let group = operation.isSparse ? 10 : 5
      let least = operation.isSparse ? 4 : 2
      let padded = elements / group * group + max(elements % group, least)
      return share(channels, roundUp(channels, 16)) * share(elements, padded)
        >= share(channels, roundUp(channels, operation.isSparse ? 128 : 64))
    }
    if channels <= 8 { return true }
    let wide = operation.ifmBits == 16
    return share(channels, roundUp(channels, 8))
      * share(elements, roundUp(elements, wide ? 2 : 4))
      >= share(channels, roundUp(channels, wide ? 16 : 32))
  }
}
