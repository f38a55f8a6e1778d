import EthosUISA

/// Plays a job on engines that run side by side and hold each other up.
///
/// Every engine works through its own list in order and stamps each item with the cycle it is done. An
/// item's time follows from items of other engines, so engines without memory are simply computed as
/// far as their inputs are known; those that use a memory take turns, the earliest request first. A
/// request that depends on another always comes after it, so the order is that of the hardware.
///
/// Its functions are `mutating` even where nothing changes: otherwise each call would copy all engines.
struct JobSimulation {
  let micro: Microarchitecture
  let memories: MemorySystem
  let events: [IssueEvent]
  let recordsTrace: Bool

  var channels: [MemoryChannel]
  /// Bytes of a burst and of a beat of each memory.
  private let bursts: [Int]
  private let beatBytes: [Int]
  var kernels: [KernelState] = []
  var parser = ParserState()
  var transfers = TransferState()
  var input = InputState()
  var weights = StreamFetch()
  var scales = StreamFetch()
  var decoder = DecoderState()
  var array = ArrayState()
  var output = OutputState()
  var writer = WriterState()
  var counters = Counters()
  var slices: [TraceSlice] = []
  private var lastSlices: [Engine: Int] = [:]

  init(
    _ events: [IssueEvent], _ micro: Microarchitecture, _ memories: MemorySystem,
    recordsTrace: Bool
  ) {
    self.micro = micro
    self.memories = memories
    self.events = events
    self.recordsTrace = recordsTrace
    channels = memories.memories.map {
      MemoryChannel($0, turnaround: micro.turnaround, recordsUse: recordsTrace)
    }
    if channels.isEmpty {
      channels = [
        MemoryChannel(MemoryTiming(name: "ideal", beatBytes: micro.beatBytes), turnaround: 0)
      ]
    }
    bursts = channels.map { $0.timing.burstBeats * $0.timing.beatBytes }
    beatBytes = channels.map(\.timing.beatBytes)
    for case .commands(let words) in events { parser.streamBytes += 4 * words }
  }

  /// A kernel that was issued. A class for the reason its plan is one.
  final class KernelState {
    let plan: KernelPlan
    /// Cycle the parser issued it.
    var issued: Int
    /// Index among kernels and transfers, for reports.
    var operation: Int
    /// Cycles at which the last blocks were in memory, by block number modulo 8.
    var finished = (0, 0, 0, 0, 0, 0, 0, 0)
    var finishedBlocks = 0
    var started = -1
    var ended = -1
    /// When the output unit was done with it, or -1.
    var emitted = -1
    var busy = OperationBusy()

    init(plan: KernelPlan, issued: Int, operation: Int) {
      self.plan = plan
      self.issued = issued
      self.operation = operation
    }

    /// When the `count`-th block was finished; it must be one of the last eight.
    func time(ofFinished count: Int) -> Int {
      withUnsafeBytes(of: finished) { $0.load(fromByteOffset: ((count - 1) & 7) * 8, as: Int.self) }
    }

    func finishBlock(at time: Int) {
      let last = finishedBlocks > 0 ? self.time(ofFinished: finishedBlocks) : 0
      let index = finishedBlocks & 7
      withUnsafeMutableBytes(of: &finished) {
        $0.storeBytes(of: max(time, last), toByteOffset: index * 8, as: Int.self)
      }
      finishedBlocks += 1
      if finishedBlocks == plan.blocks { ended = max(time, last) }
    }
  }

  /// Largest transaction of a memory in bytes.
  @inline(__always)
  func burstBytes(_ memory: Int) -> Int { bursts[memory] }

  @inline(__always)
  func beats(_ bytes: Int, _ memory: Int) -> Int { ceilDivide(bytes, beatBytes[memory]) }

  // MARK: The loop

  /// Runs everything. Returns `false` if the stream waits for something that never comes.
  mutating func run() -> Bool {
    while true {
      advance()
      var best = Int.max
      var engine = 0
      func offer(_ time: Int?, _ index: Int) {
        if let time, time < best {
          best = time
          engine = index
        }
      }
      // In the order of preference when requests meet.
      offer(writeRequest(), 1)
      offer(inputRequest(), 2)
      offer(scaleRequest(), 3)
      offer(weightRequest(), 4)
      offer(transferWriteRequest(), 5)
      offer(transferReadRequest(), 6)
      offer(commandRequest(), 7)
      switch engine {
      case 1: write(at: best)
      case 2: readInput(at: best)
      case 3: readScales(at: best)
      case 4: readWeights(at: best)
      case 5: writeTransfer(at: best)
      case 6: readTransfer(at: best)
      case 7: readCommands(at: best)
      default: return isComplete
      }
    }
  }

  private var isComplete: Bool {
    parser.event == events.count && kernels.allSatisfy { $0.ended >= 0 }
      && transfers.ends.end == transfers.issued
  }

  /// Cycles of the job.
  var total: Int {
    max(parser.time, kernels.reduce(0) { max($0, $1.ended) }, transfers.lastEnd)
  }

  /// Computes what needs no memory as far as it is known.
  private mutating func advance() {
    while true {
      var moved = parse()
      if decode() { moved = true }
      if multiply() { moved = true }
      if emit() { moved = true }
      if !moved { return }
    }
  }

  /// When block `block` of kernel `index` may read what the kernel before it wrote (BLOCKDEP).
  mutating func dependency(_ index: Int, block: Int) -> Int? {
    guard index > 0 else { return 0 }
    if block == 0,
      kernels[index - 1].plan.kernel.bufferLayout != kernels[index].plan.kernel.bufferLayout
    {
      // The shared RAM is divided anew: buffers must be empty (counter CC_STALLED_ON_SHRAM_RECONFIG).
      let emitted = kernels[index - 1].emitted
      guard emitted >= 0, let other = overlap(index, block: block) else { return nil }
      return max(emitted, other)
    }
    return overlap(index, block: block)
  }

  private mutating func overlap(_ index: Int, block: Int) -> Int? {
    let limit = kernels[index].plan.kernel.blockDependency
    let open = block < limit ? limit - block : 0
    let needed = kernels[index - 1].plan.blocks - open
    if needed <= 0 {
      // The kernel before is shorter than the distance: what came before it must be done.
      guard index > 1 else { return 0 }
      return kernels[index - 2].ended >= 0 ? kernels[index - 2].ended : nil
    }
    guard kernels[index - 1].finishedBlocks >= needed else { return nil }
    return kernels[index - 1].time(ofFinished: needed)
  }

  mutating func trace(_ engine: Engine, _ operation: Int, _ start: Int, _ end: Int) {
    guard recordsTrace, end > start else { return }
    // Pauses too short to see are not worth a slice of their own.
    if let last = lastSlices[engine], slices[last].operation == operation,
      start - slices[last].end <= Self.shortPause, start >= slices[last].start
    {
      slices[last].end = max(slices[last].end, end)
      return
    }
    lastSlices[engine] = slices.count
    slices.append(TraceSlice(engine: engine, operation: operation, start: start, end: end))
  }

  /// Cycles of a pause that a trace does not show.
  private static let shortPause = 32
}
