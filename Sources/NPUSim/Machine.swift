import NPUTiming

/// An Ethos-U that executes command streams on mapped memory, bit for bit.
///
/// Operations take effect one after the other in stream order; what hardware does at the same time is
/// judged apart and reported as ``Hazard``. Decoded weights are kept between runs. A machine is used by
/// one thread at a time.
public struct Machine {
  /// The configuration that is simulated.
  public let hardware: Hardware
  /// How streams are run.
  public let options: RunOptions
  /// The base pointers; they may be changed between runs.
  public var memory: MemoryMap
  /// Called after each kernel operation with its number in the stream, when memory holds what it wrote.
  public var onKernel: ((_ kernel: Int) -> Void)?

  private var cache: WeightCache
  private var internalMemory: InternalMemory
  private let executor: Executor
  private let opcodes: OpcodeSet

  /// A machine of the given configuration.
  public init(hardware: Hardware, memory: MemoryMap, options: RunOptions = RunOptions()) {
    self.hardware = hardware
    self.memory = memory
    self.options = options
    cache = WeightCache(budget: options.weightCacheBudget)
    internalMemory = InternalMemory(count: hardware.internalBytes)
    executor = Executor(
      hardware: hardware, threads: max(1, options.threads), limits: options.limits)
    opcodes = OpcodeSet(product: hardware.product)
  }

  /// Weight streams that were found decoded, and that had to be decoded, since the machine was made.
  public var weightCacheCounts: (hits: Int, misses: Int) { (cache.hits, cache.misses) }

  /// Runs the command stream of a driver payload ("COP1").
  public mutating func run(
    payload: UnsafeRawBufferPointer
  ) throws(SimulationError) -> RunResult {
    let range: Range<Int>
    do {
      range = try DriverPayload.stream(in: payload)
    } catch {
      throw SimulationError(fault: error, commandIndex: 0, byteOffset: 0)
    }
    return try run(stream: UnsafeRawBufferPointer(rebasing: payload[range]))
  }

  /// Runs a command stream given as its bytes.
  public mutating func run(stream: [UInt8]) throws(SimulationError) -> RunResult {
    var result: Result<RunResult, SimulationError>?
    stream.withUnsafeBytes { bytes in
      do throws(SimulationError) {
        result = .success(try run(stream: bytes))
      } catch {
        result = .failure(error)
      }
    }
    guard let result else { return RunResult() }
    return try result.get()
  }

  /// Runs a command stream to its NPU_OP_STOP.
  ///
  /// - Throws: ``SimulationError`` at the first command that cannot be executed. Memory then holds what
  ///   the commands before it wrote.
  public mutating func run(
    stream: UnsafeRawBufferPointer
  ) throws(SimulationError) -> RunResult {
    var job = Job(
      scanner: CommandScanner(stream),
      registers: RegisterFile(addressBits: hardware.addressBits),
      tracker: HazardTracker(hardware: hardware))
    cache.beginRun()
    internalMemory.invalidate()
    do throws(Fault) {
      while try step(&job) {}
    } catch {
      throw SimulationError(
        fault: error, commandIndex: job.commandIndex, byteOffset: job.byteOffset)
    }
    return job.result
  }

  // MARK: One command

  /// The state of a run.
  private struct Job {
    var scanner: CommandScanner
    var registers: RegisterFile
    var tracker: HazardTracker
    var result = RunResult()
    /// U85: what operations hand to the next one within the NPU.
    var local = LocalTensors()
    /// U85: bit 0 of the last OFM of one element, for branches.
    var resultFlag = false
    var commandIndex = 0
    var byteOffset = 0
    /// Words of the stream since the last recorded event.
    var words = 0
  }

  /// Executes the next command; `false` after the last.
  private mutating func step(_ job: inout Job) throws(Fault) -> Bool {
    job.byteOffset = job.scanner.byteOffset
    job.commandIndex = job.result.commands
    guard let command = try job.scanner.next() else {
      report(.missingStop, &job)
      return false
    }
    guard job.result.commands < options.limits.maximumCommands else {
      throw .limitExceeded(
        what: "commands", value: job.result.commands + 1, limit: options.limits.maximumCommands)
    }
    job.result.commands += 1
    job.words += command.word == nil ? 1 : 2
    guard opcodes.contains(opcode: command.opcode, isWide: command.word != nil) else {
      throw .malformedStream(
        "unknown opcode \(command.opcode) (cmd\(command.word == nil ? 0 : 1))")
    }
    if let word = command.word {
      if command.opcode == 256 {
        try branch(command.parameter, to: word, &job)
        return true
      }
      job.registers.setWide(
        opcode: command.opcode, parameter: command.parameter, word: word)
      return true
    }
    if command.opcode >= 256 {
      job.registers.set(opcode: command.opcode, parameter: command.parameter)
      return true
    }
    return try operate(command, &job)
  }

  private mutating func operate(
    _ command: CommandScanner.Command, _ job: inout Job
  ) throws(Fault) -> Bool {
    let resolver = KernelResolver(registers: job.registers, hardware: hardware)
    switch command.opcode {
    case 0:
      job.result.interrupts.append(command.parameter)
      if options.recordsOperations { recordCommands(&job) }
      return false
    case 1: job.result.interrupts.append(command.parameter)
    case 2:
      let op = try resolver.convolution(depthwise: false, parameter: command.parameter)
      try execute(op, &job)
    case 3:
      let op = try resolver.convolution(depthwise: true, parameter: command.parameter)
      try execute(op, &job)
    case 5: try execute(try resolver.pooling(parameter: command.parameter), &job)
    case 6: try execute(try resolver.elementwise(parameter: command.parameter), &job)
    case 7: try execute(try resolver.resize(parameter: command.parameter), &job)
    case 16:
      try execute(
        try TransferResolver(registers: job.registers, hardware: hardware).transfer(), &job)
    case 17:
      let count = Int(command.parameter & 15)
      job.tracker.waitForTransfers(count)
      if options.recordsOperations {
        recordCommands(&job)
        job.result.issues.append(.transferWait(count))
      }
    case 18:
      let count = Int(command.parameter & 3)
      job.tracker.waitForKernels(count)
      if options.recordsOperations {
        recordCommands(&job)
        job.result.issues.append(.kernelWait(count))
      }
    case 19: break
    default: throw .malformedStream("unknown operation \(command.opcode)")
    }
    return true
  }

  /// NPU_OP_BRANCH of U85; a stream that loops for ever ends at the limit of commands.
  private func branch(_ parameter: UInt16, to target: UInt32, _ job: inout Job) throws(Fault) {
    guard parameter & 1 == 0 || job.resultFlag else { return }
    try job.scanner.jump(to: Int(target))
  }

  private mutating func execute(_ op: KernelOp, _ job: inout Job) throws(Fault) {
    let access = try executor.access(op, memory, &job.local)
    try charge(op.operations, &job)
    if options.detectsHazards {
      inspect(op, access, &job)
      var found: [Hazard.Kind] = []
      job.tracker.issue(op, access, commandIndex: job.commandIndex) { found.append($0) }
      for kind in found { report(kind, &job) }
    }
    if options.executesKernels {
      try executor.run(
        op, access, job.local, cache: &cache, internalMemory: internalMemory.bytes)
      if let ofm = access.ofm, op.ofm.elements == 1 {
        job.resultFlag = ofm.element(0, 0, 0).load(as: UInt8.self) & 1 == 1
      }
    }
    if hardware.reusesTableArea, op.output.tableRange == nil {
      internalMemory.invalidate(hardware.tableBase..<hardware.internalBytes)
    }
    if op.ofm.storage == .memory, let ofm = access.ofm, let bank = memory[op.ofm.region]?.bank {
      ofm.noteWritten(in: bank)
    }
    job.result.kernels += 1
    onKernel?(job.result.kernels - 1)
    if options.recordsOperations {
      recordCommands(&job)
      job.result.issues.append(
        .kernel(KernelDescription(op, registers: job.registers, hardware: hardware)))
      job.result.ops.append(
        OpRecord(
          kind: op.kind.recordKind, commandIndex: job.commandIndex, byteOffset: job.byteOffset,
          ofmShape: [op.ofm.height, op.ofm.width, op.ofm.depth], operations: op.operations,
          weightBytes: op.weights.reduce(0) { $0 + $1.length },
          reads: [access.ifm?.spans, access.ifm2?.spans].compactMap { arenaRange($0 ?? []) },
          writes: [arenaRange(access.ofm?.spans ?? [])].compactMap { $0 }))
    }
  }

  private mutating func execute(_ transfer: Transfer, _ job: inout Job) throws(Fault) {
    let access = try TransferEngine.access(
      transfer, memory, internalBytes: hardware.internalBytes, limits: options.limits)
    try charge(transfer.totalBytes, &job)
    let indices = try TransferEngine.readIndices(transfer, access)
    if options.detectsHazards {
      if let span = access.indices,
        let offset = span.bank.initialised.firstMissing(in: span.range)
      {
        report(.uninitialisedRead(role: .dmaIndices, bank: span.bank.name, offset: offset), &job)
      }
      if let bank = access.source?.bank,
        let offset = TransferEngine.firstUninitialised(transfer, access, indices: indices)
      {
        report(.uninitialisedRead(role: .dmaSource, bank: bank.name, offset: offset), &job)
      }
      var found: [Hazard.Kind] = []
      job.tracker.issue(access, commandIndex: job.commandIndex) { found.append($0) }
      for kind in found { report(kind, &job) }
    }
    TransferEngine.run(transfer, access, indices: indices, internalMemory: &internalMemory)
    job.result.transfers += 1
    if options.recordsOperations {
      recordCommands(&job)
      job.result.issues.append(
        .transfer(
          bytes: transfer.totalBytes, source: transfer.source.region ?? 0,
          destination: transfer.destination.region))
      job.result.ops.append(
        OpRecord(
          kind: .transfer(bytes: transfer.totalBytes), commandIndex: job.commandIndex,
          byteOffset: job.byteOffset, ofmShape: [], operations: 0, weightBytes: 0,
          reads: [arenaRange(access.source.map { [$0] } ?? [])].compactMap { $0 },
          writes: [arenaRange(access.destination.map { [$0] } ?? [])].compactMap { $0 }))
    }
  }

  /// What of the arena's bank lies between the first and the last byte of spans; nil without any.
  private func arenaRange(_ spans: [MemorySpan]) -> Range<Int>? {
    guard let arena = memory[1]?.bank else { return nil }
    var range: Range<Int>?
    for span in spans where span.bank === arena && !span.range.isEmpty {
      let known = range ?? span.range
      range =
        min(
          known.lowerBound, span.range.lowerBound)..<max(
          known.upperBound, span.range.upperBound)
    }
    return range
  }

  /// Records the words parsed since the last event, for the command front end.
  private func recordCommands(_ job: inout Job) {
    job.result.issues.append(.commands(words: job.words))
    job.words = 0
  }

  /// Reports inputs that were never written.
  private func inspect(_ op: KernelOp, _ access: Executor.Access, _ job: inout Job) {
    func inspect(_ tensor: MappedTensor) {
      guard tensor.map.storage == .memory, let bank = memory[tensor.map.region]?.bank,
        let offset = tensor.firstUninitialised(in: bank)
      else { return }
      report(
        .uninitialisedRead(role: tensor.map.role, bank: bank.name, offset: offset), &job)
    }
    func inspect(_ spans: [MemorySpan], _ role: TensorRole) {
      for span in spans {
        if let offset = span.bank.initialised.firstMissing(in: span.range) {
          report(
            .uninitialisedRead(role: role, bank: span.bank.name, offset: offset), &job)
        }
      }
    }
    if let ifm = access.ifm { inspect(ifm) }
    if let ifm2 = access.ifm2 { inspect(ifm2) }
    inspect(access.weights, .weights)
    inspect(access.scales, .scales)
    if let table = op.output.tableRange,
      table.upperBound > internalMemory.bytes.count
        || internalMemory.initialised.firstMissing(in: table) != nil
    {
      report(.tableNotLoaded(offset: table.lowerBound), &job)
    }
  }

  private func charge(_ operations: Int, _ job: inout Job) throws(Fault) {
    job.result.operations += operations
    guard job.result.operations <= options.limits.maximumOperations else {
      throw .limitExceeded(
        what: "operations of the run", value: job.result.operations,
        limit: options.limits.maximumOperations)
    }
  }

  private func report(_ kind: Hazard.Kind, _ job: inout Job) {
    guard job.result.hazards.count < options.limits.maximumHazards else {
      job.result.droppedHazards += 1
      return
    }
    job.result.hazards.append(
      Hazard(kind: kind, commandIndex: job.commandIndex, byteOffset: job.byteOffset))
  }
}

extension KernelOp {
  /// Multiply-accumulates or element operations, padding taps included. Sizes were checked before use.
  var operations: Int {
    let window = ofm.elements &* kernel.height &* kernel.width
    switch kind {
    case .convolution, .matrixProduct, .pooling(.reduceSum): return window &* ifm.depth
    case .depthwise, .pooling: return window
    case .elementwise: return ofm.elements
    case .resize: return ofm.elements &* 4
    }
  }
}

extension KernelKind {
  fileprivate var recordKind: OpRecord.Kind {
    switch self {
    case .convolution, .matrixProduct: .convolution
    case .depthwise: .depthwise
    case .pooling: .pooling
    case .elementwise: .elementwise
    case .resize: .resize
    }
  }
}

extension OutputSettings {
  /// Bytes of internal memory that hold the table in use.
  var tableRange: Range<Int>? {
    activation.tableBytes == 0 ? nil : tableOffset..<tableOffset + activation.tableBytes
  }
}
