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
  private let memories: MemorySystem

  /// An estimate in the memories of a plan.
  init(accelerator: Accelerator, regions: [Manifest.RegionEntry]) {
    self.accelerator = accelerator
    memories = MemorySystem(regions, accelerator: accelerator)
  }

  /// Adds a job.
  mutating func add(_ events: [IssueEvent]) {
    cycles += JobTiming(events, accelerator: accelerator, memories: memories).total
  }

  /// Adds encoded bytes to the bound.
  mutating func read(_ bytes: Int) {
    let index = memories.memory(ofRegion: Region.weights.rawValue)
    guard memories.memories.indices.contains(index) else { return }
    bound += Int((Double(bytes) / memories.memories[index].bytesPerCycle).rounded(.up))
  }
}
