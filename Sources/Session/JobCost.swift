import EthosUISA
import NPUSim
import NPUTiming
import ProgramFormat

/// Cycles of a program's NPU jobs. What a job costs does not depend on its data, so each is timed once.
struct JobCost {
  private let accelerator: Accelerator?
  private let memories: MemorySystem
  private var known: [JobTiming?]

  /// The cost of a program's jobs, in the memories its manifest names.
  init(_ program: Program) {
    accelerator = Accelerator.named(program.manifest.npu)
    known = Array(repeating: nil, count: program.manifest.jobs.count)
    let regions = program.manifest.regions
    memories = MemorySystem(
      BasePointer.allCases.compactMap { pointer in
        guard let entry = regions.first(where: { $0.index == pointer.region.rawValue }) else {
          return nil
        }
        return RegionTraits(
          region: pointer.rawValue, memory: entry.memory, readRate: entry.speed.read,
          writeRate: max(entry.speed.write, 1e-3), readLatency: entry.speed.readLatency,
          writeLatency: entry.speed.writeLatency)
      }, streamRegion: BasePointer.weights.rawValue,
      beatBytes: accelerator.map { Microarchitecture($0).beatBytes } ?? 8)
  }

  /// The job's timing, computed from its first run.
  mutating func timing(of job: Int, _ result: RunResult) -> JobTiming? {
    guard let accelerator else { return nil }
    if let timing = known[job] { return timing }
    let timing = JobTiming(
      result.issues, accelerator: accelerator, memories: memories, recordsTrace: true)
    known[job] = timing
    return timing
  }
}
