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
        readWait: $0.readWait, writeWait: $0.writeWait, beatBytes: $0.timing.beatBytes)
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
            start: span.start, end: span.end, limiter: .dma, busy: OperationBusy(), macs: 0))
      } else if simulation.kernels.indices.contains(kernel) {
        let state = simulation.kernels[kernel]
        let previous = kernel > 0 ? simulation.kernels[kernel - 1].ended : 0
        let start = max(state.started, 0)
        result.append(
          Operation(
            start: start, end: max(state.ended, start),
            limiter: limiter(state, issued: state.issued, previous: previous), busy: state.busy,
            macs: state.plan.kernel.operations))
      }
    }
    return result
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
