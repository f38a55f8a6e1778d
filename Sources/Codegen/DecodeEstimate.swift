import EthosUISA
import NPUTiming
import ProgramFormat

/// What one decode step costs the NPU, by the same model the simulator uses.
struct DecodeEstimate {
  /// Cycles of all jobs, one after the other.
  private(set) var cycles = 0
  /// Every encoded byte read once at its memory's rate.
  private(set) var bound = 0

  private let accelerator: Accelerator
  private let memories: [MemoryTraits]

  /// An estimate in the memories of a plan.
  init(accelerator: Accelerator, regions: [Manifest.RegionEntry]) {
    self.accelerator = accelerator
    memories = BasePointer.allCases.map { pointer in
      guard let speed = regions.first(where: { $0.index == pointer.region.rawValue })?.speed else {
        return .ideal
      }
      return MemoryTraits(
        readBytesPerCycle: speed.read, writeBytesPerCycle: max(speed.write, 1e-3),
        readLatency: speed.readLatency, writeLatency: speed.writeLatency)
    }
  }

  /// Adds a job.
  mutating func add(_ events: [IssueEvent]) {
    cycles += JobTimeline(events, accelerator: accelerator, memories: memories).total
  }

  /// Adds encoded bytes to the bound.
  mutating func read(_ bytes: Int) {
    let rate = memories[BasePointer.weights.rawValue].readBytesPerCycle
    bound += Int((Double(bytes) / rate).rounded(.up))
  }
}
