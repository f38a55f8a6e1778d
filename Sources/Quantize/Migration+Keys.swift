import Foundation
import GraphIR

extension Migration {
  /// Turns, evens and centres the pairs of each key head; queries take the same turn and the inverse
  /// factor.
  ///
  /// Turns and factors commute with the rotation by position, so scores are unchanged. A constant
  /// taken from every key adds the same to all scores of a query, which softmax ignores. A
  /// cache has one step, set by its widest channel: lifting every pair to that width costs nothing and
  /// makes its steps finer. A pair that turns slowly stays on one side of zero on all positions;
  /// centred it needs a fraction of the range.
  mutating func evenKeys(_ attention: GraphIR.Operation, _ graph: Graph) {
    guard attention.operands.count > 2, case .state(let state) = attention.operands[2],
      let heads = attention.int("heads"), let kvHeads = attention.int("kv_heads"),
      let headDim = attention.int("head_dim"), let write = writer(state),
      let kRope = definition(function.operations[write].operands.first),
      let qRope = definition(attention.operands.first),
      function.operations[kRope].code == .rope, function.operations[qRope].code == .rope,
      let kLinear = definition(function.operations[kRope].operands.first),
      let qLinear = definition(function.operations[qRope].operands.first),
      let kWeight = ownWeight(kLinear), let qWeight = ownWeight(qLinear),
      let keys = calibration.sites[sites[kLinear]]?.support,
      let queries = calibration.sites[sites[qLinear]]?.support,
      let visited = visitedAngles(function.operations[kRope], graph, headDim: headDim)
    else { return }
    let half = headDim / 2
    let directions = SiteStatistics.directions
    guard keys.count == kvHeads * half * directions, queries.count == heads * half * directions
    else { return }

    // Weights that are kept as they are do not turn.
    let isKept = kept.contains(kWeight) || kept.contains(qWeight)
    let pairs = (0..<kvHeads * half).map { pair in
      let outline = PairOutline(keys[pair * directions..<(pair + 1) * directions])
      let ranges = (0..<directions / 2).map { outline.range(turn: $0, at: visited[pair % half]) }
      let turn = isKept ? 0 : ranges.indices.min { ranges[$0].reach < ranges[$1].reach } ?? 0
      return (turn: turn, range: ranges[turn])
    }
    let top = pairs.map(\.range.reach).max() ?? 0
    let factors = pairs.indices.map { pair in
      return top > 0 ? min(top / max(pairs[pair].range.reach, 1e-20), Self.limit) : 1
    }
    // The pair of the key head that a pair of a query head meets.
    let met = (0..<heads * half).map { $0 / half / (heads / kvHeads) * half + $0 % half }
    let queryReach = met.enumerated().map { pair, key in
      PairOutline(queries[pair * directions..<(pair + 1) * directions])
        .range(turn: pairs[key].turn, at: visited[pair % half]).largest
    }
    func channels<T>(_ pairs: [T]) -> [T] { pairs.flatMap { [$0, $0] } }
    if !isKept {
      rotations[kWeight] = pairs.map { SiteStatistics.direction($0.turn) }
      rotations[qWeight] = met.map { SiteStatistics.direction(pairs[$0].turn) }
    }
    rowFactors[kWeight] = channels(factors)
    rowFactors[qWeight] = channels(met.map { 1 / factors[$0] })
    caches[state] = (
      centre: zip(pairs, factors).flatMap { [$0.range.centre.x * $1, $0.range.centre.y * $1] },
      reach: channels(zip(pairs, factors).map { $0.range.reach * $1 })
    )
    let keyMax = channels(zip(pairs, factors).map { $0.range.largest * $1 })
    let queryMax = channels(zip(queryReach, met).map { $0 / factors[$1] })
    for site in [sites[kRope], sites[kLinear]] { channelMax[site] = keyMax }
    for site in [sites[qRope], sites[qLinear]] { channelMax[site] = queryMax }
  }

  /// The angles each pair of a head turns through on all positions, in steps of ``PairOutline``; nil
  /// without a table of that width.
  private func visitedAngles(
    _ rope: GraphIR.Operation, _ graph: Graph, headDim: Int
  ) -> [[Int]]? {
    guard rope.operands.count > 2, case .constant(let id) = rope.operands[2],
      graph[id].type.shape.rank == 2, graph[id].type.shape[1] == headDim,
      let table = graph[id].floats
    else { return nil }
    return (0..<headDim / 2).map { pair in
      var visited = Set<Int>()
      for row in 0..<graph[id].type.shape[0] {
        let angle = atan2(
          Double(table[row * headDim + 2 * pair + 1]), Double(table[row * headDim + 2 * pair]))
        let index = Int((angle / (2 * Double.pi) * Double(PairOutline.steps)).rounded())
        visited.insert(((index % PairOutline.steps) + PairOutline.steps) % PairOutline.steps)
      }
      return visited.sorted()
    }
  }
}
