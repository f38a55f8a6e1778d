import NPUSim
import NPUTiming

extension RunProfile {
  /// Bytes of working memory in use over time: those written before and read later, and those that the
  /// running operation touches.
  ///
  /// - Parameter jobs: what each job did, and when, one job after the other.
  public static func occupancy(_ jobs: [(ops: [OpRecord], timing: JobTiming)]) -> [Occupancy] {
    var result: [Occupancy] = []
    var start = 0
    for job in jobs {
      let used = bytesInUse(job.ops)
      for (bytes, operation) in zip(used, job.timing.operations) {
        let cycle = start + operation.start
        // Operations may start before the one before them has ended.
        result.append(Occupancy(cycle: max(cycle, result.last?.cycle ?? 0), bytes: bytes))
      }
      start += job.timing.total
    }
    return result
  }

  /// Bytes in use at each operation of a job.
  static func bytesInUse(_ ops: [OpRecord]) -> [Int] {
    let grain = 16
    func grains(_ range: Range<Int>) -> Range<Int> {
      range.lowerBound / grain..<max(range.lowerBound, range.upperBound + grain - 1) / grain
    }
    let end = ops.flatMap { $0.reads + $0.writes }.map { grains($0).upperBound }.max() ?? 0
    var isLive = [Bool](repeating: false, count: end)
    var live = 0
    var result = [Int](repeating: 0, count: ops.count)
    func mark(_ ranges: [Range<Int>], _ value: Bool) {
      for range in ranges {
        for index in grains(range) where isLive[index] != value {
          isLive[index] = value
          live += value ? 1 : -1
        }
      }
    }
    // From the end: what is read is needed from its last write on.
    for (index, op) in ops.enumerated().reversed() {
      mark(op.writes, true)
      mark(op.reads, true)
      result[index] = live * grain
      mark(op.writes, false)
      mark(op.reads, true)
    }
    return result
  }
}
