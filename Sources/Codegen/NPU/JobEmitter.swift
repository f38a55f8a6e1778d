import EthosUISA
import NPUTiming
import ProgramFormat
import Support
import TensorCore

/// One linear layer of a job: its packed weights and where its operands lie.
struct JobLinear {
  let packed: PackedLinear
  /// Rows: tokens of the step list.
  let tokens: Int
  /// The block all slices use.
  let block: LinearBlock
  /// The input and the output.
  let input: NPUTensor
  let output: NPUTensor
  /// The tensor it computes, for provenance.
  let name: String

  /// Whether inputs have 16 bits, which wide accumulators add up.
  var isWide: Bool { packed.key.inputElement == .int16 }

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
/// computed. Per slice `i`: wait until the convolution that last read staging buffer `i mod 2` has
/// finished (all but the newest kernel: `KERNEL_WAIT 1`), start the DMA, wait for it,
/// issue the convolution. The wait for the DMA holds the parser, not the kernel before, so transfer and
/// computation overlap. How far neighbouring kernels overlap is worked out from the bytes they touch.
struct JobEmitter {
  private let accelerator: Accelerator
  /// The size of one staging buffer; nil when weights are read in place.
  private let stagingStride: Int?
  private var writer: RegisterWriter
  private var recent: [Issued] = []
  private var slices = 0
  /// Words that the events account for.
  private var counted = 0
  private var table: NPUTensor?
  private var blocks: [NPUKernel.Shape: BlockChoice] = [:]

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
  init(accelerator: Accelerator, stagingStride: Int?) {
    self.accelerator = accelerator
    self.stagingStride = stagingStride
    writer = RegisterWriter(accelerator: accelerator)
  }

  /// Emits the commands of `name`.
  ///
  /// Throws `DiagnosticError` when a value fits no register or an operation no block.
  mutating func emit(_ commands: [JobCommand], for name: String) throws(DiagnosticError) {
    do {
      for command in commands {
        switch command {
        case .linear(let linear): try emit(linear)
        case .kernel(let kernel): try emit(kernel, name)
        case .table(let place): try load(place)
        }
      }
    } catch let error as DiagnosticError {
      throw error
    } catch {
      throw DiagnosticError("codegen.register", "\(error)", at: SourceLocation(element: name))
    }
  }

  /// Ends the job and returns its words. Throws `DiagnosticError` when there are too many.
  mutating func finish(for name: String) throws(DiagnosticError) -> [UInt32] {
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

  private mutating func dmaWait() throws {
    try writer.builder.opDMAWait(0)
    note(.transferWait(0))
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

  private mutating func issued(_ footprint: KernelFootprint, _ name: String) {
    recent.append(Issued(footprint: footprint))
    if recent.count > accelerator.product.outstanding.blockDependency + 1 { recent.removeFirst() }
    provenance.append(name)
    if accelerator.sharedRAM?.reservedTableBanks == 0, !footprint.operation.usesTable {
      table = nil
    }
  }

  // MARK: Tables

  private mutating func load(_ place: NPUTensor) throws {
    guard table != place else { return }
    if !recent.isEmpty { try kernelWait(0) }
    try writer.loadTable(place, bytes: Self.tableBytes)
    note(
      .transfer(bytes: Self.tableBytes, source: place.base.rawValue, destination: nil))
    try dmaWait()
    table = place
  }

  /// Bytes of a 16-bit table.
  static let tableBytes = 2048

  // MARK: Kernels

  private mutating func emit(_ kernel: NPUKernel, _ name: String) throws {
    let operation = kernel.operation
    let choice = try block(for: kernel)
    let footprint = KernelFootprint(
      operation: operation, block: choice.block,
      ifmBlockDepth: writer.rules.ifmBlockDepth(
        operation, block: choice.block, microblock: choice.microblock),
      inputs: kernel.inputs.map(\.place), output: kernel.ofm.place)
    // A U85 reads a swapped kernel's repeated operand first, whose blocks say nothing of the other's.
    let isReversed = kernel.isSwapped && writer.isU85
    let dependency = isReversed ? 0 : dependency(of: footprint)
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
  }

  private mutating func block(for kernel: NPUKernel) throws -> BlockChoice {
    let key = NPUKernel.Shape(kernel)
    if let known = blocks[key] { return known }
    guard let choice = choose(kernel.operation) else {
      throw DiagnosticError("codegen.block", "\(key) has no legal block")
    }
    blocks[key] = choice
    return choice
  }

  /// The cheapest block of the micro-block that pads the result least: what it pads is computed too.
  private func choose(_ operation: KernelOperation) -> BlockChoice? {
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
      if let choice = writer.rules.choose(operation, microblock: unit) { return choice }
    }
    return nil
  }

  // MARK: Linear layers

  private mutating func emit(_ linear: JobLinear) throws {
    let packed = linear.packed
    let block = linear.block.shape
    for slice in packed.slices {
      let (region, offset) = try fetch(slice)
      let output = linear.output(of: slice)
      let operation = LinearTiling.operation(
        tokens: linear.tokens, inputs: packed.inputs, outputs: slice.channels,
        bits: packed.key.inputBits, ofmBits: output.element.byteCount * 8, on: accelerator)
      let footprint = KernelFootprint(
        operation: operation, block: block,
        ifmBlockDepth: writer.rules.ifmBlockDepth(
          operation, block: block, microblock: linear.block.microblock),
        inputs: [linear.input.place], output: output.place)
      let dependency = dependency(of: footprint)
      try writer.issue(slice, of: linear, at: offset, in: region, dependency: dependency)
      var description = KernelDescription(
        kind: .convolution(partKernelFirst: false), ifm: FeatureMapTraffic(linear.input),
        ofm: FeatureMapTraffic(output), block: BlockSize(block),
        microblock: BlockSize(linear.block.microblock))
      description.weightBytes = slice.weightBytes
      description.weightRegion = region.rawValue
      description.scaleBytes = slice.scaleBytes
      description.scaleRegion = region.rawValue
      description.usesWideAccumulators = linear.isWide
      description.bufferLayout = writer.bufferLayout(of: operation, block: block)
      description.blockDependency = dependency
      note(.kernel(description))
      issued(footprint, linear.name)
    }
  }

  /// Where a slice's streams are when its convolution starts: in place, or in a staging buffer after a
  /// transfer.
  private mutating func fetch(_ slice: PackedSlice) throws -> (region: Region, offset: Int) {
    guard let stagingStride else { return (.weights, slice.offset) }
    let staging = slices % 2 * stagingStride
    slices += 1
    if !recent.isEmpty { try kernelWait(1) }
    try writer.builder.transfer(
      from: Region.weights.rawValue, offset: slice.offset, to: Region.staging.rawValue,
      offset: staging, length: slice.bytes)
    note(
      .transfer(
        bytes: slice.bytes, source: Region.weights.rawValue,
        destination: Region.staging.rawValue))
    try dmaWait()
    return (.staging, staging)
  }
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
