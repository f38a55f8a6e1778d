import Foundation
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
  private let columns: ColumnScaling?

  /// The largest factor: a channel that calibration saw idle must still have room to move.
  private static let limit: Float = 32

  /// The rescalings for a graph, found in its function `score` (or `decode`).
  ///
  /// - Parameter columns: factors that suit the weights; 8-bit activations have factors of their own.
  init(
    _ graph: Graph, calibration: Calibration, recipe: QuantizationRecipe,
    columns: ColumnScaling? = nil
  ) {
    function = graph.function("score") ?? graph.function("decode") ?? Function(name: "")
    sites = Site.sites(of: function)
    self.calibration = calibration
    self.columns = recipe.activations == .int8 ? nil : columns
    for (index, operation) in function.operations.enumerated() {
      for id in operation.results { producer[id] = index }
      // An embedding table is rounded apart from the layer that shares its numbers.
      for case .constant(let id) in operation.operands
      where operation.code != .embedding { uses[id, default: 0] += 1 }
    }
    for operation in function.operations where operation.code == .attention {
      evenKeys(operation, graph)
    }
    guard recipe.activations == .int8 || self.columns != nil else { return }
    for (index, operation) in function.operations.enumerated() {
      switch operation.code {
      case .rmsNorm: smoothNorm(index)
      case .mul: smoothProduct(index)
      case .attention: smoothValues(index)
      default: break
      }
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
      let keys = calibration.sites[sites[kLinear]]?.support,
      let queries = calibration.sites[sites[qLinear]]?.support,
      let visited = visitedAngles(function.operations[kRope], graph, headDim: headDim)
    else { return }
    let half = headDim / 2
    let directions = SiteStatistics.directions
    guard keys.count == kvHeads * half * directions, queries.count == heads * half * directions
    else { return }
    /// The largest magnitude of a channel of a pair turned by `turn` at any position.
    func reach(_ support: [Float], _ pair: Int, turn: Int) -> Float {
      visited[pair % half].reduce(0) { top, angle in
        // Turning by an angle moves the axes the other way.
        let d = (2 * directions - turn - angle) % directions
        let base = pair * directions
        let quarter = (d + directions / 2) % directions
        return max(top, support[base + d], support[base + quarter])
      }
    }
    let best = (0..<kvHeads * half).map { pair in
      (0..<directions / 2).min {
        reach(keys, pair, turn: $0) < reach(keys, pair, turn: $1)
      } ?? 0
    }
    let reaches = best.enumerated().map { reach(keys, $0, turn: $1) }
    let factors = (0..<kvHeads * half).map { pair in
      let top = reaches[pair / half * half..<(pair / half + 1) * half].max() ?? 0
      return top > 0 ? min(top / max(reaches[pair], 1e-20), Self.limit) : 1
    }
    // The pair of the key head that a pair of a query head meets.
    let met = (0..<heads * half).map { $0 / half / (heads / kvHeads) * half + $0 % half }
    func channels<T>(_ pairs: [T]) -> [T] { pairs.flatMap { [$0, $0] } }
    rotations[kWeight] = best.map(SiteStatistics.direction)
    rotations[qWeight] = met.map { SiteStatistics.direction(best[$0]) }
    rowFactors[kWeight] = channels(factors)
    rowFactors[qWeight] = channels(met.map { 1 / factors[$0] })
    let keyMax = channels(zip(reaches, factors).map { $0 * $1 })
    let queryMax = channels(
      met.enumerated().map { reach(queries, $0, turn: best[$1]) / factors[$1] })
    for site in [sites[kRope], sites[kLinear]] { channelMax[site] = keyMax }
    for site in [sites[qRope], sites[qLinear]] { channelMax[site] = queryMax }
  }

  /// The angles each pair of a head turns through on all positions, rounded to directions of the
  /// support; nil without a table of that width.
  private func visitedAngles(
    _ rope: GraphIR.Operation, _ graph: Graph, headDim: Int
  ) -> [[Int]]? {
    guard rope.operands.count > 2, case .constant(let id) = rope.operands[2],
      graph[id].type.shape.rank == 2, graph[id].type.shape[1] == headDim,
      let table = graph[id].data?.floats(count: graph[id].type.shape.count)
    else { return nil }
    let directions = SiteStatistics.directions
    return (0..<headDim / 2).map { pair in
      var visited = Set<Int>()
      for row in 0..<graph[id].type.shape[0] {
        let angle = atan2(
          Double(table[row * headDim + 2 * pair + 1]), Double(table[row * headDim + 2 * pair]))
        let index = Int((angle / Double.pi * Double(directions)).rounded())
        visited.insert(((index % directions) + directions) % directions)
      }
      return visited.sorted()
    }
  }

  /// Factors that shrink the channels with the largest values: half way, in powers, to a common
  /// size, so that neither the 8-bit values nor the weights that take the inverse bear it all.
  private static func smoothing(_ largest: [Float]) -> [Float] {
    let mean = largest.reduce(0) { $0 + log(max($1, 1e-20)) } / Float(max(largest.count, 1))
    return largest.map { min(max(exp((mean - log(max($0, 1e-20))) / 2), 1 / limit), limit) }
  }

  /// The factors of the channels of what an operation makes.
  private func factors(_ index: Int, _ largest: [Float]) -> [Float] {
    columns?.factors[sites[index]] ?? Self.smoothing(largest)
  }

  /// The weights of the linear layers that read a value; nil when anything else reads it too.
  private func readers(_ index: Int) -> [ConstantID]? {
    guard let value = function.operations[index].results.first,
      !function.results.contains(value)
    else { return nil }
    var weights: [ConstantID] = []
    for (reader, operation) in function.operations.enumerated()
    where operation.operands.contains(.value(value)) {
      guard let weight = ownWeight(reader), operation.operands[0] == .value(value) else {
        return nil
      }
      weights.append(weight)
    }
    return weights.isEmpty ? nil : weights
  }

  /// Moves range from a norm's result into the weights that read it.
  private mutating func smoothNorm(_ index: Int) {
    let operation = function.operations[index]
    guard operation.operands.count > 1, case .constant(let gamma) = operation.operands[1],
      uses[gamma] == 1, let weights = readers(index),
      let seen = calibration.sites[sites[index]]?.channelMax
    else { return }
    let factors = factors(index, seen)
    gammaFactors[gamma] = factors
    siteFactors[sites[index]] = factors
    for weight in weights { columnFactors[weight] = factors.map { 1 / $0 } }
  }

  /// Moves range from a gated product into the weights that read it, through its linear factor.
  private mutating func smoothProduct(_ index: Int) {
    let operands = function.operations[index].operands
    let linear = operands.compactMap { definition($0) }.first {
      function.operations[$0].code == .linear
    }
    guard let linear, let up = ownWeight(linear), rowFactors[up] == nil,
      let weights = readers(index), let seen = calibration.sites[sites[index]]?.channelMax,
      let value = function.operations[linear].results.first,
      function.operations.filter({ $0.operands.contains(.value(value)) }).count == 1
    else { return }
    let factors = factors(index, seen)
    rowFactors[up] = factors
    siteFactors[sites[linear]] = factors
    siteFactors[sites[index]] = factors
    for weight in weights { columnFactors[weight] = factors.map { 1 / $0 } }
  }

  /// Moves range from an attention's result into the weights that read it, through the values.
  private mutating func smoothValues(_ index: Int) {
    let operation = function.operations[index]
    guard operation.operands.count > 3, case .state(let state) = operation.operands[3],
      let heads = operation.int("heads"), let kvHeads = operation.int("kv_heads"),
      let headDim = operation.int("head_dim"), let write = writer(state),
      let linear = definition(function.operations[write].operands.first),
      let weight = ownWeight(linear), rowFactors[weight] == nil, let weights = readers(index),
      let seen = calibration.sites[sites[index]]?.channelMax, seen.count == heads * headDim
    else { return }
    // The channel of the cache that a channel of the result comes from.
    let from = (0..<heads * headDim).map {
      $0 / headDim / (heads / kvHeads) * headDim + $0 % headDim
    }
    var largest = [Float](repeating: 0, count: kvHeads * headDim)
    for (channel, value) in seen.enumerated() {
      largest[from[channel]] = max(largest[from[channel]], value)
    }
    var factors = Self.smoothing(largest)
    if let wanted = columns?.factors[sites[index]] {
      // Heads that share values share the geometric mean of what they want.
      var logs = [Float](repeating: 0, count: factors.count)
      for (channel, value) in wanted.enumerated() { logs[from[channel]] += log(value) }
      factors = logs.map { exp($0 * Float(kvHeads) / Float(heads)) }
    }
    rowFactors[weight] = factors
    siteFactors[sites[linear]] = factors
    siteFactors[sites[index]] = from.map { factors[$0] }
    for reader in weights { columnFactors[reader] = from.map { 1 / factors[$0] } }
  }
}
