/// The counters of the NPU's performance monitor for a job, under the names a driver knows.
///
/// Names and meaning: Arm's `pmu_ethosu.h`. Beats are those of the ports' width: 8 bytes on a U55, 16 on
/// U65 and U85.
public struct PMUCounters: Sendable, Hashable {
  /// The counters by name.
  public let values: [String: Int]

  /// The counters of a job.
  public init(_ timing: JobTiming) {
    func sum(_ field: KeyPath<OperationBusy, Int>) -> Int {
      timing.operations.reduce(0) { $0 + $1.busy[keyPath: field] }
    }
    var values = [
      "cycle": timing.total, "npu_active": timing.total, "npu_idle": 0,
      "cc_stalled_on_blockdep": timing.counters.dependencyStall,
      "mac_active": sum(\.array), "mac_stalled_by_w": sum(\.weightWait),
      "mac_stalled_by_ib": sum(\.inputWait), "mac_stalled_by_acc": sum(\.accumulatorWait),
      "ao_active": sum(\.output), "ao_stalled_by_bs": sum(\.scaleWait),
      "ao_stalled_by_ob": sum(\.writeWait), "ao_stalled_by_ab": sum(\.accumulatorStarve),
      "wd_active": sum(\.decoder), "wd_stalled_by_ws": sum(\.fetchWait),
      "wd_stalled_by_wd_buf": sum(\.decoderWait), "dma_active": timing.counters.transferActive,
    ]
    for memory in timing.memories {
      let name = memory.name.lowercased()
      values[name + "_rd_data_beat_received"] = memory.readBeats
      values[name + "_wr_data_beat_written"] = memory.writeBeats
      values[name + "_rd_trans_accepted"] = memory.readTransactions
      values[name + "_wr_trans_accepted"] = memory.writeTransactions
      values[name + "_rd_tran_req_stalled"] = memory.readWait
      values[name + "_wr_tran_req_stalled"] = memory.writeWait
    }
    self.values = values
  }

  /// The sum of two jobs' counters.
  public static func + (a: PMUCounters, b: PMUCounters) -> PMUCounters {
    PMUCounters(values: a.values.merging(b.values) { $0 + $1 })
  }

  private init(values: [String: Int]) { self.values = values }

  /// No counters.
  public init() { values = [:] }
}
