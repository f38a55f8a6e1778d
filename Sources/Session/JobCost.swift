import EthosUISA
import NPUSim
import NPUTiming
import ProgramFormat

/// Cycles of a program's NPU jobs. What a job costs does not depend on its data, so each is timed once.
struct JobCost {
  private let accelerator: Accelerator?
  private let memories: [MemoryTraits]
  private var known: [JobTimeline?]

  /// The cost of a program's jobs, in the memories its manifest names.
  init(_ program: Program) {
    accelerator = Accelerator.named(program.manifest.npu)
    known = Array(repeating: nil, count: program.manifest.jobs.count)
    memories = BasePointer.allCases.map { pointer in
      let speed = program.manifest.regions.first { $0.index == pointer.region.rawValue }?.speed
      return speed.map {
        MemoryTraits(
          readBytesPerCycle: $0.read, writeBytesPerCycle: max($0.write, 1e-3),
          readLatency: $0.readLatency, writeLatency: $0.writeLatency)
      } ?? .ideal
    }
  }

  /// The job's time line, computed from its first run.
  mutating func timeline(of job: Int, _ result: RunResult) -> JobTimeline? {
    guard let accelerator else { return nil }
    if let line = known[job] { return line }
    let line = JobTimeline(result.issues, accelerator: accelerator, memories: memories)
    known[job] = line
    return line
  }
}
