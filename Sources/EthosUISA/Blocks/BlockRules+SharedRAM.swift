/// Where the buffers of an operation lie in the shared RAM of a U55 or U65, in banks.
public struct SharedRAMLayout: Sendable, Hashable {
  /// The IFM block.
  public let ifmBlock: BlockShape
  /// First bank after the IFM buffers: register IFM_IB_END.
  public let ifmEnd: Int
  /// First bank of the second operand's buffers: register IFM2_IB_START; nil without such an
  /// operand.
  public let ifm2Start: Int?
  /// First bank of the accumulators: register AB_START.
  public let accumulatorStart: Int
}

extension BlockRules {
  /// The buffers of `operation` with `block`; nil when the block is not legal, and on a U85.
  public func sharedRAMLayout(_ operation: KernelOperation, block: BlockShape) -> SharedRAMLayout? {
    guard let ram = accelerator.sharedRAM, hasLegalShape(operation, block: block) else {
      return nil
    }
    let ifm = ifmBlock(operation, block: block)
    let rowBytes = roundUp(ifm.depth * operation.ifmBits / 8, 8)
    let ifmBanks = roundUp(
      2 * ceilDivide(ifm.height * ifm.width * rowBytes, SharedRAM.bankBytes),
      ram.ifmGranule(bits: operation.ifmBits))
    let tables = operation.usesTable ? SharedRAM.tableBanks : ram.reservedTableBanks
    let end = ram.banks - tables
    let ifmEnd = SharedRAM.outputBanks + ifmBanks
    if operation.kind == .elementwise {
      guard ifmEnd + (operation.hasSecondTensor ? ifmBanks : 0) <= end else { return nil }
      return SharedRAMLayout(
        ifmBlock: ifm, ifmEnd: end, ifm2Start: operation.hasSecondTensor ? ifmEnd : nil,
        accumulatorStart: end)
    }
    let start = end - accumulatorBanks(operation, block: block, ram)
    guard ifmEnd <= start else { return nil }
    return SharedRAMLayout(ifmBlock: ifm, ifmEnd: ifmEnd, ifm2Start: nil, accumulatorStart: start)
  }

  /// Banks of both accumulator buffers.
  private func accumulatorBanks(
    _ operation: KernelOperation, block: BlockShape, _ ram: SharedRAM
  ) -> Int {
    // A microblock of two rows keeps accumulators for one when there is only one.
    let isFlat =
      operation.ofm.height == 1 && operation.kernel.height == 1
      && accelerator.microblock.height == 2
    let rows = isFlat ? 1 : block.height
    let elements = rows * block.width * roundUp(block.depth, 8)
    let wide = operation.accumulatorBits == 40
    return roundUp(
      2 * ceilDivide(elements * (wide ? 5 : 4), SharedRAM.bankBytes),
      wide ? ram.accumulator40Granule : ram.accumulator32Granule)
  }
}
