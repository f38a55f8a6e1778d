import Foundation
import GraphIR
import TensorCore

/// Exact rescalings of channels between neighbouring operations, chosen so that one scale per head
/// or tensor wastes fewer steps: what one operation multiplies by a factor the next divides by.
struct Migration {
  /// Factors of a weight constant's rows (output channels) and of its bias.
  var rowFactors: [ConstantID: [Float]] = [:]
  /// Turns of a weight constant's pairs of rows, (cos, sin), done before the factors.
  var rotations: [ConstantID: [SIMD2<Float>]] = [:]
  /// The largest magnitudes of turned channels, which statistics and factors alone do not give.
  var channelMax: [Site: [Float]] = [:]
  /// Factors of a weight constant's columns (input channels).
  private(set) var columnFactors: [ConstantID: [Float]] = [:]
  /// Factors of a norm's gamma.
  private(set) var gammaFactors: [ConstantID: [Float]] = [:]
  /// Factors of the channels of the values that sites define.
  private(set) var siteFactors: [Site: [Float]] = [:]
  /// What the channels of a cache range around, and how far from it they go.
  var caches: [StateID: (centre: [Float], reach: [Float])] = [:]

  let function: Function
  let sites: [Site]
  private var producer: [ValueID: Int] = [:]
  private var uses: [ConstantID: Int] = [:]
  let calibration: Calibration
  private let columns: ColumnScaling?
  /// Weights whose columns and pairs of rows stay as they are.
  let kept: KeptWeights

  /// The largest factor: a channel that calibration saw idle must still have room to move.
  static let limit: Float = 32

  /// The rescalings for a graph, found in its function `score` (or `decode`).
  ///
  /// - Parameters:
  ///   - columns: factors that suit the weights; 8-bit activations have factors of their own.
  ///   - kept: weights whose integers are settled.
  init(
    _ graph: Graph, calibration: Calibration, recipe: QuantizationRecipe,
    columns: ColumnScaling? = nil, kept: KeptWeights
  ) {
    function = graph.function("score") ?? graph.function("decode") ?? Function(name: "")
    sites = Site.sites(of: function)
    self.calibration = calibration
    self.columns = recipe.activations == .int8 ? nil : columns
    self.kept = kept
    for (index, operation) in function.operations.enumerated() {
      for id in operation.results { producer[id] = index }
      // An embedding table is rounded apart from the layer that shares its numbers.
      for case .constant(let id) in operation.operands
      where operation.code != .embedding { uses[id, default: 0] += 1 }
    }
    for (index, operation) in function.operations.enumerated() where operation.code == .attention {
      evenKeys(operation, graph)
      // Factors that suit values of eight bits would cost weights of few bits more than they gain.
      if self.columns == nil || recipe.weights?.isFine == true || recipe.caches.values == .int4 {
        scaleValues(index, recipe)
      }
    }
    guard recipe.activations == .int8 || self.columns != nil else { return }
    for (index, operation) in function.operations.enumerated() {
      switch operation.code {
      case .rmsNorm: smoothNorm(index)
      case .mul: smoothProduct(index)
      default: break
      }
    }
  }

  /// The operation that defines an operand.
  func definition(_ operand: Operand?) -> Int? {
    guard case .value(let id)? = operand else { return nil }
    return producer[id]
  }

  /// The one operation that writes a state.
  func writer(_ state: StateID) -> Int? {
    let writers = function.operations.indices.filter {
      let operation = function.operations[$0]
      return operation.code == .kvWrite && operation.operands.count > 2
        && operation.operands[2] == .state(state)
    }
    return writers.count == 1 ? writers[0] : nil
  }

  /// A linear layer's weight when nothing else in the function uses it.
  func ownWeight(_ index: Int) -> ConstantID? {
    let operation = function.operations[index]
    guard operation.code == .linear, operation.operands.count > 1,
      case .constant(let id) = operation.operands[1], uses[id] == 1
    else { return nil }
    return id
  }

  /// Factors that shrink the channels with the largest values: half way, in powers, to a common
  /// size, so that neither the 8-bit values nor the weights that take the inverse bear it all; or further, where
  /// that was found to be better.
  private func smoothing(_ largest: [Float]) -> [Float] {
    let mean = largest.reduce(0) { $0 + log(max($1, 1e-20)) } / Float(max(largest.count, 1))
    return largest.map {
      let factor = exp((mean - log(max($0, 1e-20))) * calibration.ranges.power)
      return min(max(factor, 1 / Self.limit), Self.limit)
    }
  }

  /// The factors of the channels of what an operation makes.
  private func factors(_ index: Int, _ largest: [Float]) -> [Float] {
    columns?.factors[sites[index]] ?? smoothing(largest)
  }

  /// The weights of the linear layers that read a value; nil when anything else reads it too, or when
  /// one of them is kept as it is.
  private func readers(_ index: Int) -> [ConstantID]? {
    guard let value = function.operations[index].results.first,
      !function.results.contains(value)
    else { return nil }
    var weights: [ConstantID] = []
    for (reader, operation) in function.operations.enumerated()
    where operation.operands.contains(.value(value)) {
      guard let weight = ownWeight(reader), operation.operands[0] == .value(value),
        !kept.contains(weight)
      else {
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

  /// Scales the channels of an attention's values, and the columns of the weights that read its result the
  /// other way.
  ///
  /// With 16-bit activations only the cache is short of steps: each channel is lifted half way, in powers, to the
  /// widest, which sets the cache's one step, and all the way where the cache has four bits. With 8 bits the result is
  /// as short of them, and range moves from it into the weights.
  private mutating func scaleValues(_ index: Int, _ recipe: QuantizationRecipe) {
    let operation = function.operations[index]
    guard operation.operands.count > 3, case .state(let state) = operation.operands[3],
      let heads = operation.int("heads"), let kvHeads = operation.int("kv_heads"),
      let headDim = operation.int("head_dim"), let write = writer(state),
      let linear = definition(function.operations[write].operands.first),
      let weight = ownWeight(linear), rowFactors[weight] == nil, let weights = readers(index),
      let results = calibration.sites[sites[index]]?.channelMax, results.count == heads * headDim,
      let values = calibration.sites[sites[linear]]?.channelMax, values.count == kvHeads * headDim
    else { return }
    // The channel of the cache that a channel of the result comes from.
    let from = (0..<heads * headDim).map {
      $0 / headDim / (heads / kvHeads) * headDim + $0 % headDim
    }
    let factors: [Float]
    if recipe.activations == .int8 {
      var largest = [Float](repeating: 0, count: kvHeads * headDim)
      for (channel, value) in results.enumerated() {
        largest[from[channel]] = max(largest[from[channel]], value)
      }
      factors = smoothing(largest)
    } else {
      let widest = values.max() ?? 0
      let power: Float = recipe.caches.values == .int4 ? 1 : 0.5
      factors = values.map { min(pow(widest / max($0, 1e-20), power), Self.limit) }
    }
    rowFactors[weight] = factors
    siteFactors[sites[linear]] = factors
    siteFactors[sites[index]] = from.map { factors[$0] }
    for reader in weights { columnFactors[reader] = from.map { 1 / factors[$0] } }
  }
}
