import GraphIR

/// Exact rescalings of channels between neighbouring operations, chosen so that one scale per head
/// or tensor wastes fewer steps: what one operation multiplies by a factor the next divides by.
struct Migration {
  /// Factors of a weight constant's rows (output channels) and of its bias.
  private(set) var rowFactors: [ConstantID: [Float]] = [:]
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

  /// Multiplies factors into those a table already holds.
  private static func multiply<Key>(
    _ table: inout [Key: [Float]], _ key: Key, by factors: [Float]
  ) {
    table[key] = table[key].map { zip($0, factors).map { $0 * $1 } } ?? factors
  }

  /// Evens the pairs of each key head; queries take the inverse. A rotation commutes with a factor
  /// that its two channels share, so the scores are unchanged. With one step per head the largest
  /// pair sets it, so lifting all pairs to that size costs nothing and makes their steps finer.
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
      let seen = calibration.sites[sites[kRope]]?.channelMax, seen.count == kvHeads * headDim
    else { return }
    var factors = [Float](repeating: 1, count: seen.count)
    for head in 0..<kvHeads {
      let first = head * headDim
      let top = seen[first..<first + headDim].max() ?? 0
      guard top > 0 else { continue }
      for c in stride(from: first, to: first + headDim, by: 2) {
        let pair = max(seen[c], seen[c + 1])
        let factor = min(top / max(pair, 1e-20), Self.limit)
        factors[c] = factor
        factors[c + 1] = factor
      }
    }
    let inverse = (0..<heads * headDim).map { c in
      let head = c / headDim / (heads / kvHeads)
      return 1 / factors[head * headDim + c % headDim]
    }
    Self.multiply(&rowFactors, kWeight, by: factors)
    Self.multiply(&siteFactors, sites[kLinear], by: factors)
    Self.multiply(&siteFactors, sites[kRope], by: factors)
    Self.multiply(&rowFactors, qWeight, by: inverse)
    Self.multiply(&siteFactors, sites[qLinear], by: inverse)
    Self.multiply(&siteFactors, sites[qRope], by: inverse)
  }
}
