extension ArmPlanner {
  /// Cuts a section into slices along the cheapest path through configurations, as the classic
  /// encoder does: 40 bits for a change.
  static func splitByShortestPath(_ section: inout StreamSection) {
    let codeCount = Int(section.codes.max() ?? 0) + 1
    let table = (0..<codeCount).map {
      CodeConfiguration.costs(
        code: $0, rawWidth: section.rawWidth, impossible: 10_000, noRaw: 100)
    }
    let weightEnds = section.codes.withUnsafeBufferPointer { codes in
      table.withUnsafeBufferPointer { table in weightSegments(codes, table) }
    }
    let runEnds = section.hasRuns ? runSegments(section.runs, weightEnds.map(\.end)) : []
    var slices: [StreamSection.Slice] = []
    var position = 0
    var weight = 0
    var run = 0
    let count = section.codes.count
    while position < count {
      var end = min(position + StreamSection.sliceLimit, count)
      if weight < weightEnds.count { end = min(end, weightEnds[weight].end) }
      if run < runEnds.count { end = min(end, runEnds[run].end) }
      slices.append(
        StreamSection.Slice(
          end: end,
          coding: CodeConfiguration(weight < weightEnds.count ? weightEnds[weight].state : 0),
          runDivisor: run < runEnds.count ? runEnds[run].state : 0))
      if weight < weightEnds.count && end == weightEnds[weight].end { weight += 1 }
      if run < runEnds.count && end == runEnds[run].end { run += 1 }
      position = end
    }
    section.slices = slices
  }

  /// One configuration up to an end.
  private struct Segment {
    var state: Int
    var end: Int
  }

  /// What a step of the search remembers: which states were entered from the best one.
  private struct Step {
    var entered: UInt16
    var from: UInt8
  }

  private static func weightSegments(
    _ codes: UnsafeBufferPointer<UInt16>, _ table: UnsafeBufferPointer<SIMD16<Int32>>
  ) -> [Segment] {
    var cost = SIMD16<Int32>.zero
    var final = 0
    let lanes = SIMD16<Int32>(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
    let flags = SIMD16<Int32>(
      1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 0, 0, 0)
    // The three lanes without a configuration stay more expensive than any other.
    for lane in 13..<16 { cost[lane] = 1 << 20 }
    let change = SIMD16<Int32>(repeating: 40)
    let steps = [Step](unsafeUninitializedCapacity: codes.count) { steps, count in
      for i in codes.indices {
        // Costs are kept relative to the best, so they never overflow.
        let best = leastLane(cost &<< 4 | lanes)
        cost &-= SIMD16(repeating: best &>> 4)
        let entered = change .< cost
        let marks = laneSum(SIMD16<Int32>.zero.replacing(with: flags, where: entered))
        cost = cost.replacing(with: change, where: entered) &+ table[Int(codes[i])]
        steps[i] = Step(
          entered: UInt16(truncatingIfNeeded: marks), from: UInt8(truncatingIfNeeded: best & 15))
      }
      final = Int((cost &<< 4 | lanes).min() & 15)
      count = codes.count
    }
    return walkBack(steps, from: final)
  }

  private static func walkBack(_ steps: [Step], from final: Int) -> [Segment] {
    var result = [Segment(state: final, end: steps.count)]
    var state = final
    for i in steps.indices.reversed() where steps[i].entered >> UInt16(state) & 1 != 0 {
      state = Int(steps[i].from)
      result.append(Segment(state: state, end: i))
    }
    return result.reversed()
  }

  private static func runSegments(_ runs: [UInt32], _ weightEnds: [Int]) -> [Segment] {
    var cost = SIMD4<Int64>.zero
    var steps: [Step] = []
    steps.reserveCapacity(runs.count)
    var next = 0
    func cheapest() -> Int {
      var best = 0
      for lane in 1..<4 where cost[lane] < cost[best] { best = lane }
      return best
    }
    for (i, run) in runs.enumerated() {
      var change: Int64 = 40
      // A change where the weights' slice ends anyway is free.
      if next < weightEnds.count && weightEnds[next] == i + 1 {
        change = 0
        next += 1
      }
      let best = cheapest()
      let entering = cost[best] &+ change
      var entered: UInt16 = 0
      for lane in 0..<4 {
        if entering < cost[lane] {
          entered |= 1 << UInt16(lane)
          cost[lane] = entering
        }
        cost[lane] &+= Int64(run >> UInt32(lane)) &+ 1 &+ Int64(lane)
      }
      steps.append(Step(entered: entered, from: UInt8(best)))
    }
    return walkBack(steps, from: cheapest())
  }
}
