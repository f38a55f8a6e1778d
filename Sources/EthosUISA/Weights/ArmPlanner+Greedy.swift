extension ArmPlanner {
  /// Cuts a section into slices as the regor encoder does: forward, changing when another
  /// configuration has become 40 bits cheaper.
  static func splitGreedily(_ section: inout StreamSection) {
    let codeCount = Int(section.codes.max() ?? 0) + 1
    let table = (0..<codeCount).map {
      CodeConfiguration.costs(code: $0, rawWidth: section.rawWidth, impossible: -1, noRaw: 100)
    }
    let segments = section.codes.withUnsafeBufferPointer { codes in
      table.withUnsafeBufferPointer { table in weightSegments(codes, table) }
    }
    // The run search of this encoder never cuts; the divisor that is cheapest over all runs at its
    // end is not always its result, so the search itself is repeated.
    let divisor = section.hasRuns ? runDivisor(section.runs) : 0
    section.slices = segments.map {
      StreamSection.Slice(end: $0.1, coding: CodeConfiguration($0.0), runDivisor: divisor)
    }
  }

  private static func weightSegments(
    _ codes: UnsafeBufferPointer<UInt16>, _ table: UnsafeBufferPointer<SIMD16<Int32>>
  ) -> [(Int, Int)] {
    let lanes = SIMD16<Int32>(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
    let used = lanes .< SIMD16(repeating: 13)
    var cost = SIMD16<Int32>.zero
    var since = SIMD16<Int32>.zero
    var before = lanes .< SIMD16(repeating: 0)
    var current = -1
    var currentCost: Int32 = 0
    var segments: [(Int, Int)] = []
    for i in codes.indices {
      let bits = table[Int(codes[i])]
      let possible = bits .>= .zero .& used
      let restart = possible .& .!before
      cost.replace(with: currentCost, where: restart)
      cost &+= SIMD16<Int32>(repeating: 40).replacing(with: bits, where: possible)
      since.replace(with: Int32(truncatingIfNeeded: i &+ 1), where: .!possible)
      before = possible
      let key = leastLane(
        SIMD16<Int32>(repeating: Int32.max).replacing(with: cost &<< 4 | lanes, where: possible))
      let best = Int(key & 15)
      if current < 0 || !possible[current]
        || (best != current && cost[best] &+ 40 < currentCost)
      {
        if current >= 0,
          !(cost[best] < cost[current] && since[best] <= since[current])
        {
          segments.append((current, i))
        }
        current = best
      }
      currentCost = cost[current]
    }
    return closed(segments, current, codes.count)
  }

  private static func closed(
    _ segments: [(Int, Int)], _ current: Int, _ count: Int
  ) -> [(Int, Int)] {
    var result = segments
    if let last = result.last, last.0 == current {
      result[result.count - 1].1 = count
    } else {
      result.append((current, count))
    }
    return result
  }

  private static func runDivisor(_ runs: [UInt32]) -> Int {
    var cost = SIMD4<Int>.zero
    var current = -1
    var currentCost = 0
    for run in runs {
      var best = 0
      for lane in 0..<4 {
        cost[lane] &+= Int(run >> UInt32(lane)) &+ 1 &+ lane
        if cost[lane] < cost[best] { best = lane }
      }
      if current < 0 || (best != current && cost[best] + 40 < currentCost) { current = best }
      currentCost = cost[current]
    }
    return max(0, current)
  }
}
