import EthosUISA

/// The cycles of a job: the result of the event simulation.
public struct JobTiming: Sendable {
  /// One operation.
  public struct Operation: Sendable, Hashable {
    /// Cycles from the start of the job.
    public var start: Int
    public var end: Int
    /// What limited it.
    public var limiter: Limiter
    /// What the engines did for it.
    public var busy: OperationBusy
    /// Multiply-accumulates; 0 for transfers.
    public var macs: Int
    /// Bytes it moved over memory ports.
    public var bytes: Int
    /// Cycles it would take if nothing but the slowest of array, output unit and memories counted: the
    /// roofline.
    public var bound: Int
  }

  /// What one memory saw.
  public struct MemoryUse: Sendable, Hashable {
    /// The memory.
    public var name: String
    /// Beats and transactions.
    public var readBeats: Int
    public var writeBeats: Int
    public var readTransactions: Int
    public var writeTransactions: Int
    /// Cycles transactions waited until they were taken.
    public var readWait: Int
    public var writeWait: Int
    /// Bytes of a beat.
    public var beatBytes: Int
    /// Bytes a cycle it sustains.
    public var bytesPerCycle: Double
    /// Beats read and written by ``useCycles`` of the job; empty unless the trace was recorded.
    public var readUse: [Int]
    public var writeUse: [Int]

    /// Cycles of one entry of the use over time.
    public static let useCycles = MemoryChannel.bucketCycles

    /// Bytes of all beats, read and written.
    public var bytes: Int { (readBeats + writeBeats) * beatBytes }
  }

  /// Kernels and transfers, in issue order.
  public private(set) var operations: [Operation] = []
  /// Cycles of the job.
  public private(set) var total = 0
  /// The memories.
  public private(set) var memories: [MemoryUse] = []
  /// Job counters.
  public private(set) var counters = Counters()
  /// Slices of the trace, if it was recorded.
  public private(set) var trace: [TraceSlice] = []
  /// Whether every operation finished. A stream that waits for itself does not.
  public private(set) var isComplete = true

  /// Cycles the MAC array worked.
  public var arrayActive: Int { operations.reduce(0) { $0 + $1.busy.array } }

  /// Plays events on a configuration with its memories.
  public init(
    _ events: [IssueEvent], accelerator: Accelerator, memories: MemorySystem,
    recordsTrace: Bool = false
  ) {
    var simulation = JobSimulation(
      events, Microarchitecture(accelerator), memories, recordsTrace: recordsTrace)
    isComplete = simulation.run()
    total = simulation.total
    counters = simulation.counters
    trace = simulation.slices
    self.memories = simulation.channels.map {
      MemoryUse(
        name: $0.timing.name, readBeats: $0.readBeats, writeBeats: $0.writeBeats,
        readTransactions: $0.readTransactions, writeTransactions: $0.writeTransactions,
        readWait: $0.readWait, writeWait: $0.writeWait, beatBytes: $0.timing.beatBytes,
        bytesPerCycle: $0.timing.bytesPerCycle, readUse: $0.readUse ?? [],
        writeUse: $0.writeUse ?? [])
    }
    operations = Self.operations(of: simulation)
  }

  private static func operations(of simulation: JobSimulation) -> [Operation] {
    var result: [Operation] = []
    var transfers = simulation.transfers.spans.makeIterator()
    for kernel in simulation.parser.kernelOfOperation {
      if kernel < 0 {
        guard let span = transfers.next() else { continue }
        result.append(
          Operation(
            start: span.start, end: span.end, limiter: .dma, busy: OperationBusy(), macs: 0,
            bytes: span.bytes, bound: span.bound))
      } else if simulation.kernels.indices.contains(kernel) {
        let state = simulation.kernels[kernel]
        let previous = kernel > 0 ? simulation.kernels[kernel - 1].ended : 0
        let start = max(state.started, 0)
        result.append(
          Operation(
            start: start, end: max(state.ended, start),
            limiter: limiter(state, issued: state.issued, previous: previous), busy: state.busy,
            macs: state.plan.usesArray ? state.plan.kernel.operations : 0,
            bytes: state.busy.bytes, bound: bound(state, simulation)))
      }
    }
    return result
  }

  /// The slowest of what must be done at least: products at the array's full rate, elements at the
  /// output unit's, every byte at its memory's.
  private static func bound(
    _ state: JobSimulation.KernelState, _ simulation: JobSimulation
  ) -> Int {
    let plan = state.plan
    let peak = simulation.micro.accelerator.macs * 8 / max(plan.kernel.ifm.bits, 8)
    var bound = plan.usesArray ? ceilDivide(plan.kernel.operations, max(peak, 1)) : 0
    let elements = plan.kernel.ofm.height * plan.kernel.ofm.width * plan.kernel.ofm.depth
    bound = max(bound, ceilDivide(elements * plan.outputRate, 32))
    var bytes = [Int](repeating: 0, count: simulation.channels.count)
    func add(_ map: FeatureMapTraffic?) {
      guard let map, let region = map.region else { return }
      let memory = simulation.memories.memory(ofRegion: region)
      if bytes.indices.contains(memory) { bytes[memory] += map.bytes }
    }
    // Reads and writes have channels of their own.
    let output = plan.chainedOutput ?? plan.kernel.ofm
    if let region = output.region {
      let memory = simulation.memories.memory(ofRegion: region)
      if simulation.channels.indices.contains(memory) {
        let rate = simulation.channels[memory].timing.bytesPerCycle
        bound = max(bound, Int((Double(output.bytes) / max(rate, 1e-6)).rounded(.up)))
      }
    }
    if plan.kernel.isPointwise { add(plan.kernel.ifm) }
    add(plan.kernel.ifm2)
    if bytes.indices.contains(plan.weightMemory) {
      bytes[plan.weightMemory] += plan.kernel.weightBytes + plan.kernel.scaleBytes
    }
    for (memory, count) in bytes.enumerated() where count > 0 {
      let rate = simulation.channels[memory].timing.bytesPerCycle
      bound = max(bound, Int((Double(count) / max(rate, 1e-6)).rounded(.up)))
    }
    return max(bound, 1)
  }

  /// The largest share of the operation's time.
  private static func limiter(
    _ state: JobSimulation.KernelState, issued: Int, previous: Int
  ) -> Limiter {
    let busy = state.busy
    let span = max(state.ended - max(previous, 0), 1)
    let fetches = busy.fetchWait > busy.decoder
    let shares: [(Int, Limiter)] = [
      (busy.array, .mac), (busy.output, .output),
      (min(busy.weightWait, span), fetches ? .weights : .decoder),
      (min(busy.inputWait, span), .ifm), (min(busy.writeWait, span), .ofm),
      (min(max(issued - previous, 0), span), .command),
    ]
    return shares.reduce(shares[0]) { $1.0 > $0.0 ? $1 : $0 }.1
  }
}
