/// Follows what may be unfinished at each point of a stream and finds accesses that collide with it.
///
/// Kernels and DMAs run beside each other; a queue that is full holds up the parser, so its depth bounds
/// what can be outstanding. The depths are those compilers rely on.
struct HazardTracker {
  private let hardware: Hardware
  private var kernels: [OutstandingOp] = []
  private var transfers: [OutstandingOp] = []

  init(hardware: Hardware) {
    self.hardware = hardware
  }

  /// NPU_OP_DMA_WAIT: the newest `count` DMAs may be unfinished.
  mutating func waitForTransfers(_ count: Int) {
    keep(count, &transfers)
  }

  /// NPU_OP_KERNEL_WAIT: the newest `count` kernels may be unfinished.
  mutating func waitForKernels(_ count: Int) {
    keep(count, &kernels)
  }

  /// Issues a kernel and reports its collisions.
  mutating func issue(
    _ op: KernelOp, _ access: Executor.Access, commandIndex: Int,
    report: (Hazard.Kind) -> Void
  ) {
    let new = OutstandingOp(op, access, commandIndex: commandIndex)
    for transfer in transfers.reversed() {
      if let conflict = new.conflict(with: transfer) { report(conflict) }
    }
    // Nothing in the hardware holds a fetch of weights or scales back until a kernel has written them.
    for earlier in kernels.reversed() {
      for read in new.reads where read.role == .weights || read.role == .scales {
        if earlier.writes.contains(where: { $0.overlaps(read) }) {
          report(.readAfterWrite(role: read.role, earlier: earlier.commandIndex))
        }
      }
    }
    if op.continuesChain, let last = kernels.indices.last {
      if last > 0, let earlier = kernels[last - 1].kernel {
        overlap(op, access, after: earlier, kernels[last - 1], report)
      }
      kernels[last].join(new)
      return
    }
    if let last = kernels.last, let earlier = last.kernel {
      overlap(op, access, after: earlier, last, report)
    }
    kernels.append(new)
    keep(hardware.outstandingKernels, &kernels)
  }

  /// Issues a DMA and reports its collisions.
  mutating func issue(
    _ access: TransferEngine.Access, commandIndex: Int, report: (Hazard.Kind) -> Void
  ) {
    let new = OutstandingOp(access, commandIndex: commandIndex)
    keep(hardware.outstandingTransfers - 1, &transfers)
    for earlier in transfers.reversed() + kernels.reversed() {
      if let conflict = new.conflict(with: earlier) { report(conflict) }
    }
    transfers.append(new)
  }

  /// A kernel starts while the last blocks of the one before run.
  private func overlap(
    _ op: KernelOp, _ access: Executor.Access, after earlier: KernelOp, _ last: OutstandingOp,
    _ report: (Hazard.Kind) -> Void
  ) {
    guard op.blockDependency > 0 else { return }
    var inputs: [(map: FeatureMap, spans: [MemorySpan])] = []
    if let ifm = access.ifm { inputs.append((op.ifm, ifm.spans)) }
    if let ifm2 = access.ifm2 { inputs.append((ifm2.map, ifm2.spans)) }
    let limit = BlockDependency(
      earlier: earlier, later: op, hardware: hardware
    ).limit(inputs: inputs, output: last.writes)
    if op.blockDependency > limit.value {
      report(.readAfterWrite(role: limit.role, earlier: last.commandIndex))
    }
    // Without a table of its own the kernel takes the table area as a buffer on small parts.
    if hardware.reusesTableArea, earlier.output.tableRange != nil, op.output.tableRange == nil {
      report(.writeAfterRead(role: .lookupTable, earlier: last.commandIndex))
    }
  }

  private func keep(_ count: Int, _ queue: inout [OutstandingOp]) {
    if queue.count > count { queue.removeFirst(queue.count - max(0, count)) }
  }
}
