import Foundation
import GraphIR
import Reference
import Support
import TensorCore

/// What caches of some types cost.
public struct CacheChoice: Sendable {
  /// The types.
  public var caches: CacheTypes
  /// Bytes of keys and values of the whole context, but for what a part's streams add around them.
  public var bytes: Int
  /// The mean divergence from the float model in nats a token, with nothing but the caches rounded.
  public var divergence: Double
}

extension Quantizer {
  /// What eight and four bits for keys and for values cost, measured on the observed model's held-out tokens, the
  /// most bytes first.
  ///
  /// - Parameters:
  ///   - recipe: whose activations are taken.
  ///   - progress: called with what is done, and how much of how much.
  public static func cacheChoices(
    _ observed: ObservedModel, recipe: QuantizationRecipe,
    progress: ObservedModel.Progress = { _, _, _ in }
  ) throws(DiagnosticError) -> [CacheChoice] {
    let all = [(8, 8), (8, 4), (4, 8), (4, 4)].map { CacheTypes(keyBits: $0, valueBits: $1) }
    var float = RepeatedModel(try FloatLogitModel(observed.graph))
    var choices: [CacheChoice] = []
    for (done, caches) in all.enumerated() {
      progress("measuring caches", done, all.count)
      var plain = recipe.activations == .int8 ? QuantizationRecipe.w8a8 : .w8a16
      plain.caches = caches
      let study = try QuantizationStudy(
        observed.graph, recipe: plain, calibration: observed.calibration)
      var rounded = try study.model(rounding: [.keys, .values])
      float.repeatAll()
      choices.append(
        CacheChoice(
          caches: caches, bytes: bytes(of: caches, in: observed.graph),
          divergence: try Evaluation.compare(
            reference: &float, model: &rounded, observed.heldOut
          ).meanDivergence))
    }
    progress("measuring caches", all.count, all.count)
    return choices.sorted { $0.bytes > $1.bytes }
  }

  /// The caches with which they and the weights together take the fewest bytes, when all that may be lost is
  /// `divergence`: what caches lose the weights may not. Caches lose half of it at most; where all lose more, those
  /// that lose least are taken.
  ///
  /// - Parameters:
  ///   - weights: what bits of weights cost.
  ///   - count: how many weights there are.
  public static func cheapest(
    of caches: [CacheChoice], weights: [WeightChoice], count: Int, divergence: Double
  ) -> CacheChoice? {
    func total(_ choice: CacheChoice) -> Double {
      Double(choice.bytes)
        + bits(weights, within: divergence - choice.divergence) * Double(count) / 8
    }
    return caches.filter { $0.divergence <= divergence / 2 }.min { total($0) < total($1) }
      ?? caches.min { $0.divergence < $1.divergence }
  }

  /// Numbers in the weights of a graph's linear layers.
  public static func weightCount(_ graph: Graph) throws(DiagnosticError) -> Int {
    try LinearLayer.all(in: graph).reduce(0) { $0 + $1.rows * $1.columns }
  }

  /// Bits of weights that are expected to lose so much: between the choices along the logarithm of what they lose.
  private static func bits(_ choices: [WeightChoice], within divergence: Double) -> Double {
    let curve = choices.filter { $0.expectedDivergence > 0 }
      .sorted { $0.bitsPerWeight < $1.bitsPerWeight }
    guard let first = curve.first, let last = curve.last, divergence > 0 else { return 8 }
    if first.expectedDivergence <= divergence { return first.bitsPerWeight }
    for (low, high) in zip(curve, curve.dropFirst())
    where high.expectedDivergence <= divergence && low.expectedDivergence > divergence {
      let part =
        log(low.expectedDivergence / divergence)
        / log(low.expectedDivergence / high.expectedDivergence)
      return low.bitsPerWeight + part * (high.bitsPerWeight - low.bitsPerWeight)
    }
    return last.bitsPerWeight
  }

  private static func bytes(of caches: CacheTypes, in graph: Graph) -> Int {
    let bits = caches.bits
    var keys = Set<StateID>()
    for function in graph.functions {
      for operation in function.operations
      where operation.code == .attention && operation.operands.count > 2 {
        if case .state(let id) = operation.operands[2] { keys.insert(id) }
      }
    }
    return graph.states.indices.reduce(0) { sum, index in
      let isKeys = keys.contains(StateID(index))
      return sum + graph.states[index].type.shape.count * (isKeys ? bits.keys : bits.values) / 8
    }
  }
}
