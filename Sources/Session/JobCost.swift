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
    memories = MemorySystem(program.manifest.regions, accelerator: accelerator)
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
