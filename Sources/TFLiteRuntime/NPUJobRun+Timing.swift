import NPUSim
import NPUTiming

extension NPUJobRun {
  /// The cycles of the job in the memories of Arm's evaluation kit: a file without a target names none.
  ///
  /// Streams that use a region of their own for fast scratch were compiled for a small dedicated SRAM
  /// (Vela's `Dedicated_Sram`), others for one that holds the arena (`Shared_Sram`).
  public func timing(recordsTrace: Bool = false) -> JobTiming {
    let usesFastScratch = result.issues.contains { event in
      switch event {
      case .transfer(_, _, let destination): destination == 2
      case .kernel(let kernel): kernel.ifm.region == 2 || kernel.ofm.region == 2
      default: false
      }
    }
    return JobTiming(
      result.issues, accelerator: accelerator,
      memories: TimingAdapter(accelerator).system(usesFastScratch ? .dedicatedSRAM : .sharedSRAM),
      recordsTrace: recordsTrace)
  }
}
