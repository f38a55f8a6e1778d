/// Moves bytes between regions and into the internal memory.
enum TransferEngine {
  /// The checked ends of a transfer.
  struct Access {
    /// `nil` for the internal memory.
    var source: MemorySpan?
    var destination: MemorySpan?
    /// The index array of a gather or scatter.
    var indices: MemorySpan?
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
    let from = transfer.sourceBounds
    var access = Access()
    access.source = try memory.span(
      region: sourceRegion, lower: from.lower, upper: from.upper, role: .dmaSource)
    let to = transfer.destinationBounds
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
    if let indices = transfer.indices {
      guard pieces <= limits.maximumElements else {
        throw .limitExceeded(what: "DMA indices", value: pieces, limit: limits.maximumElements)
      }
      let row = transfer.size0 * 4 + indices.skip
      let last = (transfer.size1 - 1) * row
      access.indices = try memory.span(
        region: indices.region, lower: indices.address + min(0, last),
        upper: indices.address + max(0, last) + transfer.size0 * 4, role: .dmaIndices)
    }
    return access
  }

  /// The indices of a gather or scatter, one a piece, each at most its limit; empty otherwise.
  static func readIndices(_ transfer: Transfer, _ access: Access) throws(Fault) -> [Int32] {
    guard let indices = transfer.indices, let span = access.indices else { return [] }
    let row = transfer.size0 * 4 + indices.skip
    // The span starts at the lowest index.
    let first = UnsafeRawPointer(span.base) - min(0, (transfer.size1 - 1) * row)
    var result: [Int32] = []
    result.reserveCapacity(transfer.size0 * transfer.size1)
    for j in 0..<transfer.size1 {
      for i in 0..<transfer.size0 {
        let value = Int32(
          littleEndian: first.loadUnaligned(fromByteOffset: j * row + i * 4, as: Int32.self))
        guard value >= 0, value <= indices.maximum else {
          throw .illegalValue(
            register: "DMA index", value: Int(value), legal: "0...\(indices.maximum)")
        }
        result.append(value)
      }
    }
    return result
  }

  /// The first byte of the source, as an offset in its bank, that nobody ever wrote.
  ///
  /// Compilers round lengths up to 16 bytes: up to 15 unwritten bytes at the end of a piece do not count,
  /// and stay unwritten in the copy.
  static func firstUninitialised(
    _ transfer: Transfer, _ access: Access, indices: [Int32]
  ) -> Int? {
    guard let source = access.source, !source.bank.initialised.isComplete else { return nil }
    var found: Int?
    forEachPiece(transfer, access, indices) { from, _ in
      guard found == nil else { return }
      found = source.bank.initialised.firstMissing(
        in: from..<from + max(1, transfer.length - 15))
    }
    return found
  }

  /// Moves the bytes of a checked transfer, piece after piece.
  static func run(
    _ transfer: Transfer, _ access: Access, indices: [Int32], internalMemory: inout InternalMemory
  ) {
    guard let source = access.source else { return }
    forEachPiece(transfer, access, indices) { from, to in
      let bytes = source.bank.base + from
      if let destination = access.destination {
        let tail = max(0, transfer.length - 15)
        let missing = source.bank.initialised.firstMissing(in: from + tail..<from + transfer.length)
        (destination.bank.base + to).copyMemory(from: bytes, byteCount: transfer.length)
        destination.bank.noteWrite(to..<to + transfer.length)
        if let missing {
          destination.bank.noteUnwritten(to + missing - from..<to + transfer.length)
        }
      } else {
        internalMemory.store(bytes, to..<to + transfer.length)
      }
    }
    if indices.isEmpty, let destination = access.destination, source.bank.access == .readOnly,
      transfer.size0 == 1, transfer.size1 == 1
    {
      destination.bank.provenance.remember(
        Provenance.Copy(
          range: destination.range, source: source.bank, offset: source.range.lowerBound))
    }
  }

  /// Calls the body with source and destination offset of each piece, as bank (or internal) offsets.
  private static func forEachPiece(
    _ transfer: Transfer, _ access: Access, _ indices: [Int32], _ body: (Int, Int) -> Void
  ) {
    // Spans start at the lowest address of their end.
    let source =
      (access.source?.range.lowerBound ?? 0) + transfer.source.address
      - transfer.sourceBounds.lower
    let destination =
      (access.destination?.range.lowerBound ?? access.internalRange?.lowerBound ?? 0)
      + transfer.destination.address - transfer.destinationBounds.lower
    let indexesSource = transfer.indices.map(\.areOfSource) ?? false
    for j in 0..<transfer.size1 {
      for i in 0..<transfer.size0 {
        let index = indices.isEmpty ? i : Int(indices[j * transfer.size0 + i])
        let from = indexesSource ? index : i
        let to = indexesSource ? i : index
        body(
          source + from * transfer.source.stride0 + j * transfer.source.stride1,
          destination + to * transfer.destination.stride0 + j * transfer.destination.stride1)
      }
    }
  }
}
