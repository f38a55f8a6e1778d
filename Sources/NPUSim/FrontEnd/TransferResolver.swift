/// Turns the DMA registers into a transfer.
struct TransferResolver {
  let registers: RegisterFile
  let hardware: Hardware

  /// NPU_OP_DMA_START on U85: 1D, 2D or 3D by the source register, with row numbers from memory if asked.
  private func transferU85(
    _ source: Int, _ destination: Int, _ length: Int
  ) throws(Fault) -> Transfer {
    var transfer = Transfer(
      source: try end(source, .dmaSource), destination: try end(destination, .dmaDestination),
      length: length)
    let mode = source >> 9 & 3
    guard mode <= 2 else {
      throw .illegalValue(register: "DMA stride mode", value: mode, legal: "0...2")
    }
    let indexesSource = source & 0x800 != 0
    let indexesDestination = destination & 0x800 != 0
    guard !indexesSource || !indexesDestination else {
      throw .illegalValue(
        register: "dmaDestinationRegion", value: destination, legal: "without index mode")
    }
    let isIndexed = indexesSource || indexesDestination
    if mode >= 1 || isIndexed {
      transfer.size0 = try registers(.dmaSize0, in: 1...65535)
      // A side that takes one step has no stride; compilers leave its register unwritten.
      if indexesSource || transfer.size0 > 1 {
        transfer.source.stride0 = try registers.stride(.dmaSourceStride0)
      }
      if indexesDestination || transfer.size0 > 1 {
        transfer.destination.stride0 = try registers.stride(.dmaDestinationStride0)
      }
    }
    if mode == 2 {
      transfer.size1 = try registers(.dmaSize1, in: 1...65535)
      if transfer.size1 > 1 {
        transfer.source.stride1 = try registers.stride(.dmaSourceStride1)
        transfer.destination.stride1 = try registers.stride(.dmaDestinationStride1)
      }
    }
    if isIndexed {
      transfer.indices = Transfer.Indices(
        region: try registers(.dmaIndexRegion) & 7, address: try registers.address(.dmaIndex),
        maximum: Int(try registers.raw(.dmaIndexMax).word & 0x7FFF_FFFF),
        skip: mode == 2 ? try registers.stride(.dmaIndexSkip1) : 0, areOfSource: indexesSource)
      // Keeps all further address arithmetic within 64 bits.
      let step = indexesSource ? transfer.source.stride0 : transfer.destination.stride0
      let reach = (transfer.indices?.maximum ?? 0).multipliedReportingOverflow(by: step)
      guard !reach.overflow, reach.partialValue.magnitude < 1 << 60 else {
        throw .illegalValue(
          register: "dmaIndexMax", value: transfer.indices?.maximum ?? 0,
          legal: "such that it times the stride is an address")
      }
    }
    try align(transfer)
    return transfer
  }

  /// NPU_OP_DMA_START on U55 (1D) and U65 (1D, 2D, 3D by the destination register).
  func transfer() throws(Fault) -> Transfer {
    let source = try registers(.dmaSourceRegion)
    let destination = try registers(.dmaDestinationRegion)
    let length = try registers.address(.dmaLength)
    guard length > 0 else {
      throw .illegalValue(register: "dmaLength", value: length, legal: "positive")
    }
    if hardware.product == .u85 { return try transferU85(source, destination, length) }
    var transfer = Transfer(
      source: try end(source, .dmaSource), destination: try end(destination, .dmaDestination),
      length: length)
    let mode = destination >> 9 & 3
    let modes = hardware.product == .u55 ? 0 : 2
    guard mode <= modes, source >> 9 & 3 == 0 || mode > 0 else {
      throw .illegalValue(register: "DMA stride mode", value: mode, legal: "0...\(modes)")
    }
    if mode >= 1 {
      transfer.size0 = try registers(.dmaSize0, in: 1...65535)
      transfer.source.stride0 = length
      transfer.destination.stride0 = length + (try registers.stride(.dmaSkip0))
      transfer.source.stride1 = length * transfer.size0
      transfer.destination.stride1 = transfer.destination.stride0 * transfer.size0
    }
    if mode == 2 {
      transfer.size1 = try registers(.dmaSize1, in: 1...65535)
      transfer.destination.stride1 += try registers.stride(.dmaSkip1)
    }
    try align(transfer)
    return transfer
  }

  private func end(_ region: Int, _ address: WideRegister) throws(Fault) -> Transfer.End {
    Transfer.End(
      region: region & 0x100 != 0 ? nil : region & 7, address: try registers.address(address),
      stride0: 0, stride1: 0)
  }

  /// U55 moves units of 16 bytes everywhere, U65 and U85 only to and from the internal memory.
  private func align(_ transfer: Transfer) throws(Fault) {
    let isInternal = transfer.source.region == nil || transfer.destination.region == nil
    guard hardware.product == .u55 || isInternal else { return }
    for (name, value, matters) in [
      (
        "dmaSource", transfer.source.address,
        hardware.product == .u55 || transfer.source.region == nil
      ),
      (
        "dmaDestination", transfer.destination.address,
        hardware.product == .u55 || transfer.destination.region == nil
      ),
      ("dmaLength", transfer.length, true),
    ] where matters && value % 16 != 0 {
      throw .illegalValue(register: name, value: value, legal: "a multiple of 16")
    }
  }
}
