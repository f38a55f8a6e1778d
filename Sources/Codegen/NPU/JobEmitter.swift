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
/// Elsewhere they come in depth slices, with the next slice's weights on their way while one is computed. Per slice `i`: wait until the convolution that last read staging
/// buffer `i mod 2` has finished (all but the newest kernel: `KERNEL_WAIT 1`), start the DMA, wait for it,
/// issue the convolution. The wait for the DMA holds the parser, not the kernel before, so transfer and
/// computation overlap. How far neighbouring kernels overlap is worked out from the bytes they touch.
struct JobEmitter {
  private let accelerator: Accelerator
  private let rules: BlockRules
  /// The size of one staging buffer; nil when weights are read in place.
  private let stagingStride: Int?
  private var builder: StreamBuilder
  private var recent: [Issued] = []
  private var slices = 0
  /// Words that the events account for.
  private var counted = 0
  private var table: NPUTensor?
  private var blocks: [NPUKernel.Shape: BlockShape] = [:]

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
    rules = BlockRules(accelerator)
    self.stagingStride = stagingStride
    builder = StreamBuilder(accelerator.product)
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
      let words = try builder.finish()
      events.append(.commands(words: words.count - counted))
      return words
    } catch {
      throw DiagnosticError("codegen.register", "\(error)", at: SourceLocation(element: name))
    }
  }

  /// Notes what an operation that was just written does, and the words up to it.
  private mutating func note(_ event: IssueEvent) {
    events.append(.commands(words: builder.words.count - counted))
    counted = builder.words.count
    events.append(event)
  }

  // MARK: Waits

  private mutating func kernelWait(_ outstanding: Int) throws {
    try builder.opKernelWait(outstanding)
    note(.kernelWait(outstanding))
  }

  private mutating func dmaWait() throws {
    try builder.opDMAWait(0)
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
    if recent.count > 4 { recent.removeFirst() }
    provenance.append(name)
    if accelerator.sharedRAM?.reservedTableBanks == 0, !footprint.operation.usesTable {
      table = nil
    }
  }

  // MARK: Tables

  private mutating func load(_ place: NPUTensor) throws {
    guard table != place, let ram = accelerator.sharedRAM else { return }
    if !recent.isEmpty { try kernelWait(0) }
    try builder.setDMA0SrcRegion(
      region: place.base.rawValue, regionMode: .external, strideMode: .d1)
    try builder.setDMA0Src(place.offset)
    try builder.setDMA0DstRegion(region: 0, regionMode: .internal)
    try builder.setDMA0Dst(ram.tableOffset)
    try builder.setDMA0Len(Self.tableBytes)
    try builder.opDMAStart()
    note(
      .transfer(bytes: Self.tableBytes, source: place.base.rawValue, destination: nil))
    try dmaWait()
    table = place
  }

  /// Bytes of a 16-bit table.
  static let tableBytes = 2048

  // MARK: Feature maps

  private mutating func setIFM(
    _ map: NPUTensor, depth: Int
  ) throws {
    try builder.setIFMRegion(region: map.base.rawValue)
    try builder.setIFMBase0(map.offset)
    try builder.setIFMBase1(0)
    try builder.setIFMBase2(0)
    try builder.setIFMBase3(0)
    try builder.setIFMHeight0M1(map.shape.height - 1)
    try builder.setIFMHeight1M1(map.shape.height - 1)
    try builder.setIFMWidth0M1(map.shape.width - 1)
    try builder.setIFMDepthM1(depth - 1)
    try builder.setIFMStrideY(map.strideY)
    try builder.setIFMStrideX(map.strideX)
    try builder.setIFMStrideC(map.element.byteCount)
    try builder.setIFMZeroPoint(0)
    try builder.setIFMPrecision(
      activationType: .signed, activationPrecision: map.precision, activationFormat: .nhwc,
      scaleMode: .opaOPB16, roundMode: .natural)
    try builder.setIFMUpscale(.none)
    try builder.setIFMPadTop(0)
    try builder.setIFMPadLeft(0)
    try builder.setIFMPadBottom(0)
    try builder.setIFMPadRight(0)
  }

  private mutating func setIFM2(_ map: NPUTensor) throws {
    try builder.setIFM2Region(map.base.rawValue)
    try builder.setIFM2Base0(map.offset)
    try builder.setIFM2Base1(0)
    try builder.setIFM2Base2(0)
    try builder.setIFM2Base3(0)
    try builder.setIFM2Height0M1(map.shape.height - 1)
    try builder.setIFM2Height1M1(map.shape.height - 1)
    try builder.setIFM2Width0M1(map.shape.width - 1)
    try builder.setIFM2StrideY(map.strideY)
    try builder.setIFM2StrideX(map.strideX)
    try builder.setIFM2StrideC(map.element.byteCount)
    try setIFM2Type(map)
  }

  private mutating func setIFM2Type(_ map: NPUTensor) throws {
    try builder.setIFM2ZeroPoint(0)
    try builder.setIFM2Precision(
      activationType: .signed, activationPrecision: map.precision, activationFormat: .nhwc)
  }

  private mutating func setOFM(
    _ map: NPUTensor, scale: ISA.OFMScaleMode
  ) throws {
    try builder.setOFMRegion(region: map.base.rawValue)
    try builder.setOFMBase0(map.offset)
    try builder.setOFMBase1(0)
    try builder.setOFMBase2(0)
    try builder.setOFMBase3(0)
    try builder.setOFMHeightM1(map.shape.height - 1)
    try builder.setOFMWidthM1(map.shape.width - 1)
    try builder.setOFMDepthM1(map.shape.depth - 1)
    try builder.setOFMHeight0M1(map.shape.height - 1)
    try builder.setOFMHeight1M1(map.shape.height - 1)
    try builder.setOFMWidth0M1(map.shape.width - 1)
    try builder.setOFMStrideY(map.strideY)
    try builder.setOFMStrideX(map.strideX)
    try builder.setOFMStrideC(map.element.byteCount)
    try builder.setOFMZeroPoint(0)
    try builder.setOFMPrecision(
      activationType: .signed, activationPrecision: map.precision, activationFormat: .nhwc,
      scaleMode: scale, roundMode: .natural)
  }

  private mutating func setKernel(width: Int) throws {
    try builder.setKernelHeightM1(0)
    try builder.setKernelWidthM1(width - 1)
    try builder.setKernelStride(
      strideXLsb: 0, strideYLsb: 0, weightOrder: .depthFirst, dilationX: .none, dilationY: .none,
      decomposition: .d8x8, strideXMsb: 0, strideYMsb: 0)
  }

  private mutating func setBlock(_ block: BlockShape) throws {
    try builder.setOFMBlkHeightM1(block.height - 1)
    try builder.setOFMBlkWidthM1(block.width - 1)
    try builder.setOFMBlkDepthM1(block.depth - 1)
  }

  // MARK: Kernels

  private mutating func emit(_ kernel: NPUKernel, _ name: String) throws {
    let operation = kernel.operation
    let block = try block(for: kernel)
    guard let layout = rules.sharedRAMLayout(operation, block: block) else {
      throw DiagnosticError(
        "codegen.block", "has no legal block", at: SourceLocation(element: name))
    }
    try setIFM(kernel.ifm, depth: kernel.ifm.shape.depth)
    try setOFM(kernel.ofm, scale: .global)
    try builder.setOFMScale(shift: kernel.shift, scale: Int(kernel.multiplier))
    try setKernel(width: operation.kernel.width)
    try builder.setActivation(
      activationFunction: kernel.usesTable ? .table0 : .relu, activationClipRange: .ofmPrecision)
    try builder.setActivationMin((kernel.minimum ?? -32768) & 0xFFFF)
    try builder.setActivationMax(0x7FFF)
    try setBlock(block)
    try builder.setIFMIBEnd(layout.ifmEnd)
    try builder.setABStart(layout.accumulatorStart)
    try builder.setAccFormat(accFormat: .i32)
    if let second = kernel.second {
      switch second {
      case .tensor(let map):
        try setIFM2(map)
        try builder.setIFM2Broadcast(
          broadcastH: operation.broadcast.height ? .enable : .disable,
          broadcastW: operation.broadcast.width ? .enable : .disable,
          broadcastC: operation.broadcast.depth ? .enable : .disable,
          operandOrder: kernel.isSwapped ? .orderA : .orderB,
          broadcastConstant: .disable)
        if let start = layout.ifm2Start { try builder.setIFM2IBStart(start) }
      case .constant(let value):
        try setIFM2Type(kernel.ifm)
        try builder.setIFM2Broadcast(
          broadcastH: .disable, broadcastW: .disable, broadcastC: .disable,
          operandOrder: kernel.isSwapped ? .orderA : .orderB, broadcastConstant: .enable)
        try builder.setIFM2Scalar(value & 0xFFFF)
      }
      try builder.setOPAScale(shift: 0, scale: 1)
      try builder.setOPBScale(1)
    }
    let footprint = KernelFootprint(
      operation: operation, block: block,
      ifmBlockDepth: rules.ifmBlockDepth(operation, block: block),
      inputs: kernel.inputs.map(\.place), output: kernel.ofm.place)
    let dependency = dependency(of: footprint)
    try builder.setBlockdep(dependency)
    switch kernel.work {
    case .elementwise(let mode): try builder.opElementwise(mode)
    case .rowMaximum: try builder.opPool(.max)
    case .rowSum: try builder.opPool(.average)
    case .channelSum: try builder.opPool(.reduceSum)
    }
    var description = KernelDescription(
      kernel, block: block, microblock: accelerator.microblock)
    description.bufferLayout = layout.ifmEnd << 8 | layout.accumulatorStart
    description.blockDependency = dependency
    note(.kernel(description))
    issued(footprint, name)
  }

  private mutating func block(for kernel: NPUKernel) throws -> BlockShape {
    let key = NPUKernel.Shape(kernel)
    if let known = blocks[key] { return known }
    guard let choice = rules.choose(kernel.operation) else {
      throw DiagnosticError("codegen.block", "\(key) has no legal block")
    }
    blocks[key] = choice.block
    return choice.block
  }

  // MARK: Linear layers

  private mutating func emit(_ linear: JobLinear) throws {
    let packed = linear.packed
    let isWide = packed.key.inputElement == .int16
    for slice in packed.slices {
      let (region, offset) = try fetch(slice)
      let output = linear.output(of: slice)
      try setIFM(linear.input, depth: packed.inputs)
      try setOFM(output, scale: .perChannel)
      try setKernel(width: 1)
      try builder.setWeightRegion(region: region.rawValue)
      try builder.setScaleRegion(region: region.rawValue)
      try builder.setScaleBase(offset)
      try builder.setScaleLength(slice.scaleBytes)
      try builder.setWeightBase(offset + slice.scaleBytes)
      try builder.setWeightLength(slice.weightBytes)
      try builder.setActivation(activationFunction: .relu, activationClipRange: .ofmPrecision)
      try builder.setActivationMin(0x8000)
      try builder.setActivationMax(0x7FFF)
      let block = BlockShape(linear.block.height, linear.block.width, linear.block.depth)
      try setBlock(block)
      try builder.setIFMIBEnd(linear.block.ifmBankEnd)
      try builder.setABStart(linear.block.accumulatorStart)
      // 40-bit accumulators for 16-bit inputs.
      try builder.setAccFormat(accFormat: isWide ? .i40 : .i32)
      var operation = KernelOperation(
        .convolution, ifm: BlockShape(1, linear.tokens, packed.inputs),
        ofm: BlockShape(1, linear.tokens, slice.channels))
      operation.ifmBits = packed.key.inputBits
      operation.ofmBits = output.element.byteCount * 8
      operation.accumulatorBits = isWide ? 40 : 32
      let footprint = KernelFootprint(
        operation: operation, block: block,
        ifmBlockDepth: rules.ifmBlockDepth(operation, block: block),
        inputs: [linear.input.place], output: output.place)
      let dependency = dependency(of: footprint)
      try builder.setBlockdep(dependency)
      try builder.opConv()
      var description = KernelDescription(
        kind: .convolution(partKernelFirst: false), ifm: FeatureMapTraffic(linear.input),
        ofm: FeatureMapTraffic(output), block: BlockSize(block),
        microblock: BlockSize(accelerator.microblock))
      description.weightBytes = slice.weightBytes
      description.weightRegion = region.rawValue
      description.scaleBytes = slice.scaleBytes
      description.scaleRegion = region.rawValue
      description.usesWideAccumulators = isWide
      description.bufferLayout = linear.block.ifmBankEnd << 8 | linear.block.accumulatorStart
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
    try builder.setDMA0SrcRegion(
      region: Region.weights.rawValue, regionMode: .external, strideMode: .d1)
    try builder.setDMA0Src(slice.offset)
    try builder.setDMA0DstRegion(region: Region.staging.rawValue, regionMode: .external)
    try builder.setDMA0Dst(staging)
    try builder.setDMA0Len(slice.bytes)
    try builder.opDMAStart()
    note(
      .transfer(
        bytes: slice.bytes, source: Region.weights.rawValue,
        destination: Region.staging.rawValue))
    try dmaWait()
    return (.staging, staging)
  }
}

extension NPUTensor {
  fileprivate var precision: ISA.ActivationPrecision {
    switch element.byteCount {
    case 1: .b8
    case 2: .b16
    default: .b32
    }
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
    let second: Bool

    init(_ kernel: NPUKernel) {
      work = kernel.work
      ifm = kernel.ifm.shape
      ofm = kernel.ofm.shape
      bits = kernel.ifm.element.byteCount << 8 | kernel.ofm.element.byteCount
      usesTable = kernel.usesTable
      if case .tensor? = kernel.second { second = true } else { second = false }
    }
  }
}
