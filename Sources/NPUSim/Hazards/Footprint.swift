/// Bytes that an unfinished operation may still touch.
struct Footprint {
  var role: TensorRole
  /// `nil` for the internal memory.
  var bank: ObjectIdentifier?
  var range: Range<Int>

  init(_ role: TensorRole, _ span: MemorySpan) {
    self.role = role
    bank = ObjectIdentifier(span.bank)
    range = span.range
  }

  /// Bytes of the internal memory.
  init(_ role: TensorRole, internal range: Range<Int>) {
    self.role = role
    bank = nil
    self.range = range
  }

  func overlaps(_ other: Footprint) -> Bool {
    bank == other.bank && range.overlaps(other.range)
  }
}

/// An operation that was issued and may be unfinished.
struct OutstandingOp {
  var commandIndex: Int
  var reads: [Footprint]
  var writes: [Footprint]
  /// Kernels only: what decides the overlap with the next kernel.
  var kernel: KernelOp?
}

extension OutstandingOp {
  /// A kernel operation.
  init(_ op: KernelOp, _ access: Executor.Access, commandIndex: Int) {
    var reads = access.ifm?.spans.map { Footprint(.ifm, $0) } ?? []
    if let ifm2 = access.ifm2 { reads += ifm2.spans.map { Footprint(.ifm2, $0) } }
    reads += access.weights.map { Footprint(.weights, $0) }
    reads += access.scales.map { Footprint(.scales, $0) }
    if let table = op.output.tableRange {
      reads.append(Footprint(.lookupTable, internal: table))
    }
    self.init(
      commandIndex: commandIndex, reads: reads,
      writes: access.ofm?.spans.map { Footprint(.ofm, $0) } ?? [], kernel: op)
  }

  /// A DMA.
  init(_ access: TransferEngine.Access, commandIndex: Int) {
    var writes: [Footprint] = []
    if let destination = access.destination {
      writes.append(Footprint(.dmaDestination, destination))
    }
    if let range = access.internalRange {
      writes.append(Footprint(.dmaDestination, internal: range))
    }
    var reads = access.source.map { [Footprint(.dmaSource, $0)] } ?? []
    if let indices = access.indices { reads.append(Footprint(.dmaIndices, indices)) }
    self.init(commandIndex: commandIndex, reads: reads, writes: writes, kernel: nil)
  }

  /// Adds an operation of the same chain: hardware runs a chain block by block, so all of it is unfinished
  /// until its last operation is done.
  mutating func join(_ next: OutstandingOp) {
    commandIndex = next.commandIndex
    reads += next.reads
    writes += next.writes
    kernel = next.kernel
  }

  /// What may go wrong when this operation runs while `earlier` is unfinished: the first conflict.
  func conflict(with earlier: OutstandingOp) -> Hazard.Kind? {
    for write in earlier.writes {
      for read in reads where read.overlaps(write) {
        return .readAfterWrite(role: read.role, earlier: earlier.commandIndex)
      }
      for other in writes where other.overlaps(write) {
        return .writeAfterWrite(role: other.role, earlier: earlier.commandIndex)
      }
    }
    for read in earlier.reads {
      for write in writes where write.overlaps(read) {
        return .writeAfterRead(role: write.role, earlier: earlier.commandIndex)
      }
    }
    return nil
  }
}
