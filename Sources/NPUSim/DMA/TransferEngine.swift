/// Moves bytes between regions and into the internal memory.
enum TransferEngine {
  /// The checked ends of a transfer.
  struct Access {
    /// `nil` for the internal memory.
    var source: MemorySpan?
    var destination: MemorySpan?
    /// Bytes of the internal memory that are written.
    var internalRange: Range<Int>?
  }

  /// Checks size and every address.
  static func access(
    _ transfer: Transfer, _ memory: MemoryMap, internalBytes: Int, limits: RunLimits
  ) throws(Fault) -> Access {
    let pieces = transfer.size0 * transfer.size1
    let (total, overflow) = transfer.length.multipliedReportingOverflow(by: pieces)
    guard !overflow, total <= limits.maximumTransfer else {
      throw .limitExceeded(
        what: "DMA bytes", value: overflow ? .max : total, limit: limits.maximumTransfer)
    }
    guard let sourceRegion = transfer.source.region else {
      throw .illegalValue(
        register: "dmaSourceRegion", value: 0x100, legal: "external: internal memory is not read")
    }
    let from = transfer.source.bounds(
      length: transfer.length, size0: transfer.size0, size1: transfer.size1)
    var access = Access()
    access.source = try memory.span(
      region: sourceRegion, lower: from.lower, upper: from.upper, role: .dmaSource)
    let to = transfer.destination.bounds(
      length: transfer.length, size0: transfer.size0, size1: transfer.size1)
    if let region = transfer.destination.region {
      access.destination = try memory.span(
        region: region, lower: to.lower, upper: to.upper, role: .dmaDestination, writing: true)
    } else {
      guard to.lower >= 0, to.upper <= internalBytes else {
        throw .illegalValue(
          register: "dmaDestination", value: to.upper,
          legal: "at most \(internalBytes), the end of the internal memory")
      }
      access.internalRange = to.lower..<to.upper
    }
    return access
  }

  /// The first byte of the source, as an offset in its bank, that nobody ever wrote.
  static func firstUninitialised(_ transfer: Transfer, _ access: Access) -> Int? {
    guard let source = access.source, !source.bank.initialised.isComplete else { return nil }
    var found: Int?
    forEachPiece(transfer, access) { from, _ in
      guard found == nil else { return }
      found = source.bank.initialised.firstMissing(in: from..<from + transfer.length)
    }
    return found
  }

  /// Moves the bytes of a checked transfer, piece after piece.
  static func run(_ transfer: Transfer, _ access: Access, internalMemory: inout InternalMemory) {
    guard let source = access.source else { return }
    forEachPiece(transfer, access) { from, to in
      let bytes = source.bank.base + from
      if let destination = access.destination {
        (destination.bank.base + to).copyMemory(from: bytes, byteCount: transfer.length)
        destination.bank.noteWrite(to..<to + transfer.length)
      } else {
        internalMemory.store(bytes, to..<to + transfer.length)
      }
    }
    if let destination = access.destination, source.bank.access == .readOnly,
      transfer.size0 == 1, transfer.size1 == 1
    {
      destination.bank.provenance.remember(
        Provenance.Copy(
          range: destination.range, source: source.bank, offset: source.range.lowerBound))
    }
  }

  /// Calls the body with source and destination offset of each piece, as bank (or internal) offsets.
  private static func forEachPiece(
    _ transfer: Transfer, _ access: Access, _ body: (Int, Int) -> Void
  ) {
    let from = transfer.source.bounds(
      length: transfer.length, size0: transfer.size0, size1: transfer.size1)
    let to = transfer.destination.bounds(
      length: transfer.length, size0: transfer.size0, size1: transfer.size1)
    // Spans start at the lowest address of their end.
    let source =
      (access.source?.range.lowerBound ?? 0) + transfer.source.address - from.lower
    let destination =
      (access.destination?.range.lowerBound ?? access.internalRange?.lowerBound ?? 0)
      + transfer.destination.address - to.lower
    for j in 0..<transfer.size1 {
      for i in 0..<transfer.size0 {
        body(
          source + i * transfer.source.stride0 + j * transfer.source.stride1,
          destination + i * transfer.destination.stride0 + j * transfer.destination.stride1)
      }
    }
  }
}
