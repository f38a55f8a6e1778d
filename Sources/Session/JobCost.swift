import NPUSim
import ProgramFormat

/// Cycles of a job's run. The seam where the timing model attaches.
struct JobCost {
  init(_ program: Program) {}

  func cycles(job: Int, _ result: RunResult) -> Int { 0 }
}
