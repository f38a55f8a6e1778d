import EthosUISA
import NPUTiming
import ProgramFormat
import Support
import TensorCore

/// One linear layer of a job: its packed weights and where its operands lie.
struct JobLinear {
  let packed: PackedLinear
  /// The block all slices use.
  let block: LinearBlock
  /// The input and the output.
  let input: NPUTensor
  let output: NPUTensor
  /// The tensor it computes, for provenance.
  let name: String

  /// The channels of the output that a slice computes.
  func output(of slice: PackedSlice) -> NPUTensor {
    var part = output
    part.offset += slice.firstChannel * output.element.byteCount
    part.shape.depth = slice.channels
    return part
  }
}

/// Writes the command stream of one NPU job.
///
/// Linear layers are 1×1 convolutions. Where the weights live in fast memory they are read in place.
/// Elsewhere they come in depth slices, with the next slice's weights on their way while one is
/// computed: a transfer starts when the convolution that last read its staging buffer has finished (all but
/// the newest kernel: `KERNEL_WAIT 1`), layers ahead if need be, and is waited for before its own
/// convolution. The wait holds the parser, not the kernel before, so transfer and computation overlap.
/// A U55's queue takes one transfer: the next starts once that is known to be through. Some slices may be
/// read in place meanwhile (``WeightStaging``, ``SliceShares``). How far neighbouring kernels overlap is worked
/// out from the bytes they touch.
struct JobEmitter {
  private let accelerator: Accelerator
  /// How weights are fetched; nil when all are read in place.
  private let staging: WeightStaging?
  private var plan = StagingPlan()
  private var pending: [(command: JobCommand, name: String)] = []
  /// For each command, the table that may be loaded once those before it no longer use theirs.
  private var upcoming: [NPUTensor?] = []
  private var upcomingTable: NPUTensor?
  /// A table on its way, and its transfer.
  private var loading: (place: NPUTensor, transfer: Int)?
  /// The number of the kernel that last used a table.
  private var tableUser: Int?
  /// The number of the kernel that last wrote keys or values, unless it was waited for.
  private var cacheWriter: Int?
  /// Transfers so far.
  private var transferCount = 0
  /// The newest transfer of a slice, unless it is known to be through.
  private var unfinished: Int?
  /// Where blocks are tried out; nil leaves them as large as they may be.
  private let memories: MemorySystem?
  private var writer: RegisterWriter
  private var recent: [Issued] = []
  /// Words that the events account for.
  private var counted = 0
  private var table: NPUTensor?
  private var blocks: [NPUKernel.Shape: KernelBlock] = [:]

  /// The same job as the timing model sees it.
  private(set) var events: [IssueEvent] = []
  /// What each kernel belongs to, in stream order.
  private(set) var provenance: [String] = []

  private struct Issued {
    let footprint: KernelFootprint
    var blocks: Int { Self.count(footprint.operation.ofm, footprint.block) }

    private static func count(_ area: BlockShape, _ block: BlockShape) -> Int {
      func across(_ size: Int, _ step: Int) -> Int { (size + step - 1) / max(step, 1) }
      return across(area.height, block.height) * across(area.width, block.width)
        * across(area.depth, block.depth)
    }
  }

  /// An emitter of one job.
  init(accelerator: Accelerator, staging: WeightStaging?, memories: MemorySystem?) {
    self.accelerator = accelerator
    self.staging = staging
    self.memories = memories
    writer = RegisterWriter(accelerator: accelerator)
  }

  /// Adds the commands of `name`.
  mutating func add(_ commands: [JobCommand], for name: String) {
    for command in commands { pending.append((command, name)) }
  }

  private mutating func emit(_ index: Int) throws(DiagnosticError) {
    let (command, name) = pending[index]
    do {
      upcomingTable = upcoming[index]
      if let place = upcomingTable { try preload(place) }
      switch command {
      case .linear(let linear): try emit(linear)
      case .kernel(let kernel): try emit(kernel, name)
      case .cached(let cached): try emit(cached, name)
      case .table(let place): try load(place)
      }
    } catch let error as DiagnosticError {
      throw error
    } catch {
      throw DiagnosticError("codegen.register", "\(error)", at: SourceLocation(element: name))
    }
  }

  /// Writes the job and returns its words.
  ///
  /// Throws `DiagnosticError` when a value fits no register, an operation no block, or there are too
  /// many words.
  mutating func finish(for name: String) throws(DiagnosticError) -> [UInt32] {
    if let staging {
      plan = StagingPlan(pending.map(\.command), buffers: staging.buffers)
    }
    findTables()
    for index in pending.indices { try emit(index) }
    do {
      let words = try writer.builder.finish()
      events.append(.commands(words: words.count - counted))
      return words
    } catch {
      throw DiagnosticError("codegen.register", "\(error)", at: SourceLocation(element: name))
    }
  }

  /// Notes what an operation that was just written does, and the words up to it.
  private mutating func note(_ event: IssueEvent) {
    events.append(.commands(words: writer.builder.words.count - counted))
    counted = writer.builder.words.count
    events.append(event)
  }

  // MARK: Waits

  private mutating func kernelWait(_ outstanding: Int) throws {
    try writer.builder.opKernelWait(outstanding)
    note(.kernelWait(outstanding))
  }

  /// Waits for the transfer with that number.
  private mutating func dmaWait(for number: Int) throws {
    let later = min(transferCount - 1 - number, accelerator.product.outstanding.transfers - 1)
    try writer.builder.opDMAWait(later)
    if let unfinished, unfinished <= number { self.unfinished = nil }
    note(.transferWait(later))
  }

  /// How many blocks before `next` may be unfinished when it starts, given all that is in flight.
  private func dependency(of next: KernelFootprint) -> Int {
    guard let previous = recent.last else { return 0 }
    var value = BlockDependency.value(
      previous: previous.footprint, next: next, on: accelerator)
    /// Whether `next` would overwrite what an earlier kernel reads or writes.
    func overwrites(_ earlier: KernelFootprint) -> Bool {
      guard let output = next.output else { return false }
      return (earlier.inputs + [earlier.output].compactMap { $0 }).contains { $0.overlaps(output) }
    }
    if overwrites(previous.footprint) { return 0 }
    // Kernels further back have to be through altogether: that many blocks came after them.
    var between = previous.blocks
    for earlier in recent.dropLast().reversed() where between < value {
      let reads = next.inputs.contains { input in
        earlier.footprint.output.map { $0.overlaps(input) } ?? false
      }
      if reads || overwrites(earlier.footprint) { value = min(value, between) }
      between += earlier.blocks
    }
    return value
  }

  /// Whether an operand that a kernel repeats comes from the kernel before: which of its blocks are read
  /// first cannot be told.
  private func repeatsNewest(_ kernel: NPUKernel) -> Bool {
    guard case .tensor(let second)? = kernel.second, second.shape != kernel.ofm.shape,
      let output = recent.last?.footprint.output
    else { return false }
    return second.place.overlaps(output)
  }

  private mutating func issued(_ footprint: KernelFootprint, _ name: String) {
    recent.append(Issued(footprint: footprint))
    if recent.count > accelerator.product.outstanding.blockDependency + 1 { recent.removeFirst() }
    provenance.append(name)
    if accelerator.sharedRAM?.reservedTableBanks == 0, !footprint.operation.usesTable {
      table = nil
    }
  }

  // MARK: Tables

  /// Puts a table where look-ups read it, unless it is there or on its way.
  private mutating func load(_ place: NPUTensor) throws {
    if let loading, loading.place == place {
      try dmaWait(for: loading.transfer)
      self.loading = nil
      table = place
      return
    }
    guard table != place else { return }
    if !recent.isEmpty { try kernelWait(0) }
    try startLoad(place)
    try dmaWait(for: transferCount - 1)
    table = place
  }

  /// Finds the commands between the last use of one table and the first of the next.
  private mutating func findTables() {
    upcoming = Array(repeating: nil, count: pending.count)
    // Without room of its own a table would fall on other kernels' buffers.
    if let shared = accelerator.sharedRAM, shared.reservedTableBanks == 0 { return }
    var place: NPUTensor?
    for index in pending.indices.reversed() {
      switch pending[index].command {
      case .table(let next): place = next
      case .kernel(let kernel): if kernel.usesTable { place = nil }
      case .linear, .cached: break
      }
      upcoming[index] = place
    }
    if staging == nil { postponeTables() }
  }

  /// Kernels without weights during which a table arrives.
  private static let kernelsOfALoad = 4

  /// Lets weights that are read in place have the memory to themselves: a table is loaded after the last layer
  /// before its use, where enough kernels follow that leave the memory idle most of the time.
  private mutating func postponeTables() {
    /// Kernels between a command and the use of the table that is upcoming there.
    var kernels = 0
    var isPostponed = false
    for index in pending.indices.reversed() {
      switch pending[index].command {
      case .table: (kernels, isPostponed) = (0, false)
      case .kernel, .cached: kernels += 1
      case .linear:
        guard !isPostponed, kernels >= Self.kernelsOfALoad else { break }
        isPostponed = true
        // The layer has to be through before anything waits for all kernels but the newest.
        upcoming[index + 1] = nil
      }
      if isPostponed { upcoming[index] = nil }
    }
  }

  /// Starts to load a table while kernels run that use none.
  private mutating func preload(_ place: NPUTensor) throws {
    guard table != place, loading == nil, canTransfer else { return }
    if let tableUser {
      // The newest kernel would have to be waited for.
      guard tableUser < newest else { return }
      try kernelWait(1)
    }
    try startLoad(place)
    loading = (place, transferCount - 1)
    table = nil
  }

  private mutating func startLoad(_ place: NPUTensor) throws {
    let bytes = place.shape.depth * place.element.byteCount
    try writer.loadTable(place, bytes: bytes)
    // In a queue of one it waited for what was before.
    if staging?.queuesTransfers == false { unfinished = nil }
    note(.transfer(bytes: bytes, source: place.base.rawValue, destination: nil))
    transferCount += 1
  }

  // MARK: Kernels

  private mutating func emit(_ kernel: NPUKernel, _ name: String) throws {
    try lookAhead()
    let operation = kernel.operation
    let choice = try block(for: kernel)
    let footprint = KernelFootprint(
      operation: operation, block: choice.block,
      ifmBlockDepth: writer.rules.ifmBlockDepth(
        operation, block: choice.block, microblock: choice.microblock),
      inputs: kernel.inputs.map(\.place), output: kernel.ofm.place)
    // A U85 reads a swapped kernel's repeated operand first, whose blocks say nothing of the other's.
    let isReversed = kernel.isSwapped && writer.isU85
    let dependency = isReversed || repeatsNewest(kernel) ? 0 : dependency(of: footprint)
    try writer.issue(kernel, block: choice, dependency: dependency)
    var description = KernelDescription(
      kernel, block: choice.block, microblock: choice.microblock)
    if isReversed, let second = description.ifm2 {
      (description.ifm, description.ifm2) = (second, description.ifm)
    }
    description.bufferLayout = writer.bufferLayout(of: operation, block: choice.block)
    description.blockDependency = dependency
    note(.kernel(description))
    issued(footprint, name)
    if kernel.usesTable { tableUser = newest }
    if kernel.ofm.base.isOfCaches { cacheWriter = newest }
  }

  private mutating func block(for kernel: NPUKernel) throws -> KernelBlock {
    let key = NPUKernel.Shape(kernel)
    if let known = blocks[key] { return known }
    guard let choice = choose(kernel.operation) else {
      throw DiagnosticError("codegen.block", "\(key) has no legal block")
    }
    let finer = refine(choice, for: kernel)
    blocks[key] = finer
    return finer
  }

  /// Blocks enough that reading, computing and writing go on side by side.
  private static let enoughBlocks = 8

  /// The fastest of a block and its halves and quarters. One block as large as the map leaves each unit
  /// idle while the others work.
  private func refine(_ choice: KernelBlock, for kernel: NPUKernel) -> KernelBlock {
    let (operation, whole) = (kernel.operation, choice.block)
    let ofm = operation.ofm
    func across(_ size: Int, _ step: Int) -> Int { (size + step - 1) / max(step, 1) }
    let count =
      across(ofm.height, whole.height) * across(ofm.width, whole.width)
      * across(ofm.depth, whole.depth)
    guard let memories, count < Self.enoughBlocks else { return choice }
    /// A part of an extent, in whole micro-blocks.
    func part(_ extent: Int, _ divisor: Int, _ unit: Int) -> Int {
      max(across(across(extent, divisor), unit) * unit, unit)
    }
    var tried = Set([whole])
    var best = (block: whole, cycles: cycles(of: kernel, choice, memories))
    for (down, right) in [(1, 2), (2, 1), (1, 4), (2, 2), (4, 1), (1, 8), (4, 2), (8, 1)] {
      let block = BlockShape(
        part(min(whole.height, ofm.height), down, choice.microblock.height),
        part(min(whole.width, ofm.width), right, choice.microblock.width), whole.depth)
      guard tried.insert(block).inserted,
        writer.rules.isLegal(operation, block: block, microblock: choice.microblock)
      else { continue }
      let finer = KernelBlock(block: block, microblock: choice.microblock)
      let cycles = cycles(of: kernel, finer, memories)
      if cycles < best.cycles { best = (block, cycles) }
    }
    return KernelBlock(block: best.block, microblock: choice.microblock)
  }

  /// Cycles of a kernel alone in a job.
  private func cycles(
    of kernel: NPUKernel, _ choice: KernelBlock, _ memories: MemorySystem
  ) -> Int {
    let description = KernelDescription(
      kernel, block: choice.block, microblock: choice.microblock)
    return JobTiming([.kernel(description)], accelerator: accelerator, memories: memories).total
  }

  /// The cheapest block of the micro-block that pads the result least: what it pads is computed too.
  private func choose(_ operation: KernelOperation) -> KernelBlock? {
    func padded(_ unit: BlockShape) -> Int {
      func up(_ size: Int, _ step: Int) -> Int { (size + step - 1) / max(step, 1) * step }
      return up(operation.ofm.height, unit.height) * up(operation.ofm.width, unit.width)
        * up(operation.ofm.depth, unit.depth)
    }
    // The first of equals.
    let units = writer.rules.legalMicroblocks(operation).enumerated().sorted {
      (padded($0.element), $0.offset) < (padded($1.element), $1.offset)
    }
    for (_, unit) in units {
      if let choice = writer.rules.choose(operation, microblock: unit) {
        return KernelBlock(block: choice.block, microblock: choice.microblock)
      }
    }
    return nil
  }

  // MARK: Linear layers

  private mutating func emit(_ linear: JobLinear) throws {
    for slice in linear.packed.slices {
      let (region, offset) = try fetch(slice)
      let convolution = NPUConvolution(
        ifm: linear.input, ofm: linear.output(of: slice),
        streams: WeightStreams(
          scales: (region, offset, slice.scaleBytes), weights: (region, offset + slice.scaleBytes),
          streamBytes: slice.streamBytes, isFast: slice.isFast))
      try emit(convolution, block: linear.block, linear.name)
    }
  }

  /// A convolution that reads keys or values, which have to be there: no dependency of the hardware's looks
  /// at weights.
  private mutating func emit(_ cached: CachedConvolution, _ name: String) throws {
    try lookAhead()
    if let cacheWriter {
      try kernelWait(min(newest - cacheWriter, accelerator.product.outstanding.kernels - 1))
      self.cacheWriter = nil
    }
    let operation = cached.convolution.operation(on: accelerator)
    guard
      let block = LinearTiling(accelerator: accelerator).block(
        of: operation, depth: cached.blockDepth, microblock: cached.microblock)
    else {
      throw DiagnosticError("codegen.block", "\(operation.ofm) has no legal block")
    }
    try emit(cached.convolution, block: block, name)
  }

  private mutating func emit(
    _ convolution: NPUConvolution, block: LinearBlock, _ name: String
  ) throws {
    let operation = convolution.operation(on: accelerator)
    let footprint = KernelFootprint(
      operation: operation, block: block.shape,
      ifmBlockDepth: writer.rules.ifmBlockDepth(
        operation, block: block.shape, microblock: block.microblock),
      inputs: [convolution.ifm.place], output: convolution.ofm.place)
    let dependency = dependency(of: footprint)
    try writer.issue(convolution, block: block, dependency: dependency)
    var description = KernelDescription(
      kind: .convolution(partKernelFirst: false), ifm: FeatureMapTraffic(convolution.ifm),
      ofm: FeatureMapTraffic(convolution.ofm), block: block.shape, microblock: block.microblock)
    let streams = convolution.streams
    description.weightBytes = streams.weightBytes
    description.weightRegion = streams.weights.region.rawValue
    description.scaleBytes = streams.scales.bytes
    description.scaleRegion = streams.scales.region.rawValue
    description.isFastFormat = streams.isFast
    description.usesWideAccumulators = convolution.isWide
    description.bufferLayout = writer.bufferLayout(of: operation, block: block.shape)
    description.blockDependency = dependency
    note(.kernel(description))
    issued(footprint, name)
  }

  /// Where a slice's streams are when its convolution starts: in place, or in a staging buffer after a
  /// transfer.
  private mutating func fetch(_ slice: PackedSlice) throws -> (region: Region, offset: Int) {
    guard let staging else { return (slice.region, slice.offset) }
    guard slice.isStaged else {
      try lookAhead()
      return (slice.region, slice.offset)
    }
    let number = plan.used
    if plan.started <= number {
      // Its buffer is still read, by the newest kernel at worst.
      if !recent.isEmpty {
        try kernelWait(plan.readers[number % staging.buffers] == newest ? 0 : 1)
      }
      try startTransfer()
    }
    try lookAhead()
    try dmaWait(for: plan.transfers[number])
    plan.readers[number % staging.buffers] = provenance.count
    plan.used += 1
    return (.arena, staging.place(of: number))
  }

  /// Whether a transfer can start without holding up the parser for another one.
  private var canTransfer: Bool { staging?.queuesTransfers != false || unfinished == nil }

  /// The number of the kernel issued last.
  private var newest: Int { provenance.count - 1 }

  /// Starts the transfers whose buffers no kernel reads any more but for those before the newest.
  private mutating func lookAhead() throws {
    // A table that can be loaded soon would wait for the transfers before it.
    if let upcomingTable {
      try preload(upcomingTable)
      if table != upcomingTable, loading == nil { return }
    }
    let buffers = plan.readers.count
    while canTransfer, plan.started < plan.slices.count, plan.started < plan.used + buffers {
      if let reader = plan.readers[plan.started % buffers] {
        guard reader < newest else { return }
        try kernelWait(1)
      }
      try startTransfer()
    }
  }

  /// Starts the next transfer of the plan.
  private mutating func startTransfer() throws {
    let number = plan.started
    try transfer(plan.slices[number], to: staging?.place(of: number) ?? 0)
    plan.transfers.append(transferCount - 1)
    unfinished = transferCount - 1
    plan.started += 1
  }

  /// Queues the copy of a slice into its staging buffer.
  private mutating func transfer(_ slice: PackedSlice, to place: Int) throws {
    try writer.builder.transfer(
      from: slice.region.rawValue, offset: slice.offset, to: Region.arena.rawValue,
      offset: place, length: slice.bytes)
    note(
      .transfer(
        bytes: slice.bytes, source: slice.region.rawValue,
        destination: Region.arena.rawValue))
    transferCount += 1
  }
}

/// The OFM block of a kernel and the micro-block it consists of.
struct KernelBlock: Hashable {
  let block: BlockShape
  let microblock: BlockShape
}

extension NPUKernel {
  /// What the choice of a block depends on.
  struct Shape: Hashable {
    let work: Work
    let ifm: BlockShape
    let ofm: BlockShape
    let bits: Int
    let usesTable: Bool
    let second: BlockShape?

    init(_ kernel: NPUKernel) {
      work = kernel.work
      ifm = kernel.ifm.shape
      ofm = kernel.ofm.shape
      bits = kernel.ifm.element.byteCount << 8 | kernel.ofm.element.byteCount
      usesTable = kernel.usesTable
      if case .tensor(let map)? = kernel.second { second = map.shape } else { second = nil }
    }
  }
}
