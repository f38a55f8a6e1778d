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
    memories = MemorySystem(
      regions.map { region in
        RegionTraits(
          region: region.index, memory: region.memory, readRate: region.speed.read,
          writeRate: max(region.speed.write, 1e-3), readLatency: region.speed.readLatency,
          writeLatency: region.speed.writeLatency)
      }, streamRegion: Region.weights.rawValue,
      beatBytes: Microarchitecture(accelerator).beatBytes)
  }

  /// Adds a job.
  mutating func add(_ linears: [JobLinear]) {
    let unit = accelerator.microblock
    let events = LinearJobEmitter.events(
      linears, microblock: BlockSize(unit.height, unit.width, unit.depth))
    cycles += JobTiming(events, accelerator: accelerator, memories: memories).total
    let bytes = linears.flatMap(\.packed.slices).reduce(0) { $0 + $1.bytes }
    let index = memories.memory(ofRegion: Region.weights.rawValue)
    guard memories.memories.indices.contains(index) else { return }
    bound += Int((Double(bytes) / memories.memories[index].bytesPerCycle).rounded(.up))
  }
}
