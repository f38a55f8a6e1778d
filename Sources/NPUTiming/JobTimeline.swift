import EthosUISA

/// Plays a job's issue events on three engines: the parser, the kernel pipeline, the DMA.
///
/// Kernels run one after the other, transfers run beside them, and the waits of the stream hold the
/// parser exactly as long as it says. Queue depths: timing specification, section 7 (U55: two kernels,
/// one transfer).
public struct JobTimeline: Sendable {
  /// One operation's span.
  public struct Span: Sendable, Hashable {
    /// Cycles from the start of the job.
    public var start: Int
    public var end: Int
    /// What limited it.
    public var limiter: Limiter
  }

  /// The spans of kernels and transfers, in issue order.
  public private(set) var spans: [Span] = []
  /// Cycles of the job.
  public private(set) var total = 0
  /// Cycles in which the kernel pipeline, and the DMA, were busy.
  public private(set) var kernelBusy = 0
  public private(set) var transferBusy = 0

  private static let kernelQueue = 2
  private static let transferQueue = 1

  /// Plays events on a configuration whose regions are backed by `memories`.
  public init(_ events: [IssueEvent], accelerator: Accelerator, memories: [MemoryTraits]) {
    let model = KernelCostModel(accelerator)
    var parser = 0
    var kernelEnds: [Int] = []
    var transferEnds: [Int] = []
    /// When at most `count` of the entries are unfinished: the end of the one that is `count` from last.
    func time(_ ends: [Int], _ count: Int) -> Int {
      ends.count > count ? ends[ends.count - 1 - count] : 0
    }
    for event in events {
      switch event {
      case .transferWait(let count): parser = max(parser, time(transferEnds, count))
      case .kernelWait(let count): parser = max(parser, time(kernelEnds, count))
      case .kernel(let kernel):
        parser = max(parser, time(kernelEnds, Self.kernelQueue - 1))
        let cost = model.cost(kernel, memories: memories)
        let start = max(parser, kernelEnds.last ?? 0)
        kernelEnds.append(start + cost.total)
        kernelBusy += cost.total
        spans.append(Span(start: start, end: start + cost.total, limiter: cost.limiter))
      case .transfer(let bytes, let source, let destination):
        parser = max(parser, time(transferEnds, Self.transferQueue - 1))
        let from = memories.indices.contains(source) ? memories[source] : .ideal
        let to = destination.flatMap { memories.indices.contains($0) ? memories[$0] : nil }
        let cycles = model.transferCycles(bytes: bytes, from: from, to: to)
        let start = max(parser, transferEnds.last ?? 0)
        transferEnds.append(start + cycles)
        transferBusy += cycles
        spans.append(Span(start: start, end: start + cycles, limiter: .dma))
      }
    }
    total = max(parser, kernelEnds.last ?? 0, transferEnds.last ?? 0)
  }
}
