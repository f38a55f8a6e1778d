import GraphIR

/// Exact rescalings of channels between neighbouring operations, chosen so that one scale per head
/// or tensor wastes fewer steps: what one operation multiplies by a factor the next divides by.
struct Migration {
  /// Factors of a weight constant's rows (output channels) and of its bias.
  private(set) var rowFactors: [ConstantID: [Float]] = [:]
  /// Turns of a weight constant's pairs of rows, (cos, sin), done before the factors.
  private(set) var rotations: [ConstantID: [SIMD2<Float>]] = [:]
  /// The largest magnitudes of turned channels, which statistics and factors alone do not give.
  private(set) var channelMax: [Site: [Float]] = [:]
  /// Factors of a weight constant's columns (input channels).
  private(set) var columnFactors: [ConstantID: [Float]] = [:]
  /// Factors of a norm's gamma.
  private(set) var gammaFactors: [ConstantID: [Float]] = [:]
  /// Factors of the channels of the values that sites define.
  private(set) var siteFactors: [Site: [Float]] = [:]

  private let function: Function
  private let sites: [Site]
  private var producer: [ValueID: Int] = [:]
  private var uses: [ConstantID: Int] = [:]
  private let calibration: Calibration

  /// The largest factor: a channel that calibration saw idle must still have room to move.
  private static let limit: Float = 32

  /// The rescalings for a graph, found in its function `score` (or `decode`).
  init(_ graph: Graph, calibration: Calibration, recipe: QuantizationRecipe) {
    function = graph.function("score") ?? graph.function("decode") ?? Function(name: "")
    sites = Site.sites(of: function)
    self.calibration = calibration
    for (index, operation) in function.operations.enumerated() {
      for id in operation.results { producer[id] = index }
      for case .constant(let id) in operation.operands { uses[id, default: 0] += 1 }
    }
    for operation in function.operations where operation.code == .attention {
      evenKeys(operation, graph)
    }
  }

  /// The operation that defines an operand.
  private func definition(_ operand: Operand?) -> Int? {
    guard case .value(let id)? = operand else { return nil }
    return producer[id]
  }

  /// The one operation that writes a state.
  private func writer(_ state: StateID) -> Int? {
    let writers = function.operations.indices.filter {
      let operation = function.operations[$0]
      return operation.code == .kvWrite && operation.operands.count > 2
        && operation.operands[2] == .state(state)
    }
    return writers.count == 1 ? writers[0] : nil
  }

  /// A linear layer's weight when nothing else in the function uses it.
  private func ownWeight(_ index: Int) -> ConstantID? {
    let operation = function.operations[index]
    guard operation.code == .linear, operation.operands.count > 1,
      case .constant(let id) = operation.operands[1], uses[id] == 1
    else { return nil }
    return id
  }

  /// Turns and evens the pairs of each key head; queries take the same turn and the inverse factor.
  ///
  /// Both commute with the rotation by position, so scores are unchanged. A head's cache has one
  /// step, set by its largest channel: lifting every pair to that size costs nothing and makes its
  /// steps finer. A pair that turns slowly points one way on all positions; turned to the diagonal
  /// it needs only 1/√2 of the range.
  private mutating func evenKeys(_ attention: GraphIR.Operation, _ graph: Graph) {
    guard attention.operands.count > 2, case .state(let state) = attention.operands[2],
      let heads = attention.int("heads"), let kvHeads = attention.int("kv_heads"),
      let headDim = attention.int("head_dim"), let write = writer(state),
      let kRope = definition(function.operations[write].operands.first),
      let qRope = definition(attention.operands.first),
      function.operations[kRope].code == .rope, function.operations[qRope].code == .rope,
      let kLinear = definition(function.operations[kRope].operands.first),
      let qLinear = definition(function.operations[qRope].operands.first),
      let kWeight = ownWeight(kLinear), let qWeight = ownWeight(qLinear),
      let keys = calibration.sites[sites[kRope]]?.turnedMax,
      let queries = calibration.sites[sites[qRope]]?.turnedMax
    else { return }
    let angles = SiteStatistics.turns.count
    let half = headDim / 2
    guard keys.count == kvHeads * half * angles, queries.count == heads * half * angles else {
      return
    }
    let best = (0..<kvHeads * half).map { pair in
      (0..<angles).min { keys[pair * angles + $0] < keys[pair * angles + $1] } ?? 0
    }
    let reach = best.enumerated().map { keys[$0 * angles + $1] }
    let factors = (0..<kvHeads * half).map { pair in
      let top = reach[pair / half * half..<(pair / half + 1) * half].max() ?? 0
      return top > 0 ? min(top / max(reach[pair], 1e-20), Self.limit) : 1
    }
    // The pair of the key head that a pair of a query head meets.
    let met = (0..<heads * half).map { $0 / half / (heads / kvHeads) * half + $0 % half }
    func channels<T>(_ pairs: [T]) -> [T] { pairs.flatMap { [$0, $0] } }
    rotations[kWeight] = best.map { SiteStatistics.turns[$0] }
    rotations[qWeight] = met.map { SiteStatistics.turns[best[$0]] }
    rowFactors[kWeight] = channels(factors)
    rowFactors[qWeight] = channels(met.map { 1 / factors[$0] })
    let keyMax = channels(zip(reach, factors).map { $0 * $1 })
    let queryMax = channels(
      met.enumerated().map { queries[$0 * angles + best[$1]] / factors[$1] })
    for site in [sites[kRope], sites[kLinear]] { channelMax[site] = keyMax }
    for site in [sites[qRope], sites[qLinear]] { channelMax[site] = queryMax }
  }
}
