import EthosUISA
import NPUTiming
import ProgramFormat

/// What one decode step costs the NPU, by the same model the simulator uses.
struct DecodeEstimate {
  /// Cycles of all jobs, one after the other.
  private(set) var cycles = 0
  /// Bytes over the ports of each memory, by its name.
  private(set) var traffic: [String: Int] = [:]
  /// Every encoded byte read once, as fast as its memory, the NPU's reads in flight and its decoders allow.
  var bound: Int { max(fetched.values.max() ?? 0, decoded) }

  /// Cycles that each region's bytes take, and all of them in the decoders.
  private var fetched: [Region: Int] = [:]
  private var decoded = 0

  private let accelerator: Accelerator
  private let memories: MemorySystem

  /// An estimate in the memories of a plan.
  init(accelerator: Accelerator, regions: [Manifest.RegionEntry]) {
    self.accelerator = accelerator
    memories = MemorySystem(regions, accelerator: accelerator)
  }

  /// Adds a job.
  mutating func add(_ events: [IssueEvent]) {
    let timing = JobTiming(events, accelerator: accelerator, memories: memories)
    cycles += timing.total
    for memory in timing.memories where memory.bytes > 0 {
      traffic[memory.name, default: 0] += memory.bytes
    }
  }

  /// Adds a region's encoded bytes to the bound, which convolutions read in place, or the DMA and they.
  /// Regions may be read side by side, but all bytes go through the decoders.
  mutating func read(_ bytes: Int, in region: Region, isInPlace: Bool) {
    let index = memories.memory(ofRegion: region.rawValue)
    guard bytes > 0, memories.memories.indices.contains(index) else { return }
    let rates = StreamRates(memories.memories[index], accelerator: accelerator)
    let decoders = Double(8 * max(accelerator.weightDecoders, accelerator.cores, 1))
    func cycles(_ rate: Double) -> Int { Int((Double(bytes) / max(rate, 1e-6)).rounded(.up)) }
    fetched[region, default: 0] += cycles(isInPlace ? min(rates.weights, decoders) : rates.together)
    decoded += cycles(decoders)
  }
}
