import Foundation
import GraphIR
import Reference
import Support
import TensorCore

/// What tensors beside the weights of linear layers cost: caches and the embedding table, of some types.
public struct StorageChoice: Sendable {
  /// What the caches hold.
  public var caches: CacheTypes
  /// What the embedding table holds.
  public var embeddings: ElementType
  /// Bytes of keys and values of the whole context, but for what a part's streams add around them.
  public var cacheBytes: Int
  /// Bytes of the embedding table.
  public var tableBytes: Int
  /// The mean divergence from the float model in nats a token, with nothing but these rounded.
  public var divergence: Double
}

extension QuantizationRecipe {
  /// Whether it leaves types to a budget.
  public var isOpen: Bool { caches.isOpen || choosesEmbeddings }
}

extension Quantizer {
  /// What eight and four bits cost where a recipe leaves them open, measured on the observed model's held-out tokens,
  /// the most bytes first.
  ///
  /// - Parameters:
  ///   - recipe: whose activations are taken, and the types that are not open.
  ///   - progress: called with what is done, and how much of how much.
  public static func storageChoices(
    _ observed: ObservedModel, recipe: QuantizationRecipe,
    progress: ObservedModel.Progress = { _, _, _ in }
  ) throws(DiagnosticError) -> [StorageChoice] {
    let caches =
      recipe.caches.isOpen
      ? [(8, 8), (8, 4), (4, 8), (4, 4)].map { CacheTypes(keyBits: $0, valueBits: $1) }
      : [recipe.caches]
    let tables: [ElementType] = recipe.choosesEmbeddings ? [.int8, .int4] : [recipe.embeddings]
    let all = caches.flatMap { caches in tables.map { (caches, $0) } }
    var float = RepeatedModel(try FloatLogitModel(observed.graph))
    var choices: [StorageChoice] = []
    for (done, (caches, table)) in all.enumerated() {
      progress("measuring caches and embeddings", done, all.count)
      var plain = recipe.activations == .int8 ? QuantizationRecipe.w8a8 : .w8a16
      plain.caches = caches
      plain.embeddings = table
      let study = try QuantizationStudy(
        observed.graph, recipe: plain, calibration: observed.calibration)
      var rounded = try study.model(rounding: [.keys, .values, .embeddings])
      float.repeatAll()
      let bytes = bytes(of: study.integer)
      choices.append(
        StorageChoice(
          caches: caches, embeddings: table, cacheBytes: bytes.caches, tableBytes: bytes.table,
          divergence: try Evaluation.compare(
            reference: &float, model: &rounded, observed.heldOut
          ).meanDivergence))
    }
    progress("measuring caches and embeddings", all.count, all.count)
    return choices.sorted { ($1.cacheBytes, $1.tableBytes) < ($0.cacheBytes, $0.tableBytes) }
  }

  /// The choice with which all tensors together take the fewest bytes, when all that may be lost is `divergence`: what
  /// these lose the weights may not. They lose half of it at most; where all lose more, those that lose least are
  /// taken.
  ///
  /// - Parameters:
  ///   - weights: what bits of weights cost.
  ///   - count: how many weights there are.
  public static func cheapest(
    of choices: [StorageChoice], weights: [WeightChoice], count: Int, divergence: Double
  ) -> StorageChoice? {
    let curve = WeightCurve(weights)
    func total(_ choice: StorageChoice) -> Double {
      Double(choice.cacheBytes + choice.tableBytes)
        + curve.bits(within: divergence - choice.divergence) * Double(count) / 8
    }
    return choices.filter { $0.divergence <= divergence / 2 }.min { total($0) < total($1) }
      ?? choices.min { $0.divergence < $1.divergence }
  }

  /// The choice with which all tensors together lose least in so many bytes of read-only memory, of which caches
  /// take none.
  ///
  /// - Parameters:
  ///   - weights: what bits of weights cost.
  ///   - count: how many weights there are.
  public static func best(
    of choices: [StorageChoice], weights: [WeightChoice], count: Int, bytes: Int
  ) -> StorageChoice? {
    let curve = WeightCurve(weights)
    func total(_ choice: StorageChoice) -> Double {
      choice.divergence
        + curve.divergence(bits: Double(bytes - choice.tableBytes) * 8 / Double(max(count, 1)))
    }
    return choices.min { total($0) < total($1) }
  }

  /// Numbers in the weights of a graph's linear layers.
  public static func weightCount(_ graph: Graph) throws(DiagnosticError) -> Int {
    try LinearLayer.all(in: graph).reduce(0) { $0 + $1.rows * $1.columns }
  }

  /// Bytes of an integer graph's caches and of its embedding tables, two numbers of four bits to a byte.
  private static func bytes(of graph: Graph) -> (caches: Int, table: Int) {
    func bytes(_ type: TensorType) -> Int {
      type.element == .int4 ? (type.shape.count + 1) / 2 : type.byteCount
    }
    var tables = Set<ConstantID>()
    var heads: [StateID: Int] = [:]
    for function in graph.functions {
      for operation in function.operations where operation.operands.count > 1 {
        if operation.code == .embedding, case .constant(let id) = operation.operands[1] {
          tables.insert(id)
        }
        if operation.code == .attention, operation.operands.count > 3,
          let headDim = operation.int("head_dim")
        {
          for case .state(let id) in operation.operands { heads[id] = headDim }
        }
      }
    }
    let caches = heads.reduce(0) { sum, cache in
      // Rows are padded in the graph, not in the streams.
      var type = graph[cache.key].type
      type.shape = Shape([type.shape[0], type.shape[1], cache.value])
      return sum + bytes(type)
    }
    return (caches, tables.reduce(0) { $0 + bytes(graph[$1].type) })
  }
}

/// What bits of weights lose, between the choices along the logarithm of it.
private struct WeightCurve {
  private let points: [(bits: Double, loss: Double)]

  init(_ choices: [WeightChoice]) {
    points = choices.filter { $0.expectedDivergence > 0 }
      .map { ($0.bitsPerWeight, log($0.expectedDivergence)) }
      .sorted { $0.bits < $1.bits }
  }

  /// Bits that are expected to lose so much.
  func bits(within divergence: Double) -> Double {
    guard let first = points.first, let last = points.last, divergence > 0 else { return 8 }
    let wanted = log(divergence)
    if first.loss <= wanted { return first.bits }
    for (low, high) in zip(points, points.dropFirst())
    where low.loss > wanted && high.loss <= wanted {
      return low.bits + (low.loss - wanted) / (low.loss - high.loss) * (high.bits - low.bits)
    }
    return last.bits
  }

  /// What so many bits are expected to lose.
  func divergence(bits: Double) -> Double {
    guard let first = points.first, let last = points.last else { return 0 }
    if bits <= first.bits {
      // Fewer bits than any choice's are no way out: each costs e times, so that fewer are worse.
      return exp(first.loss + (first.bits - bits))
    }
    for (low, high) in zip(points, points.dropFirst()) where bits <= high.bits {
      let part = (bits - low.bits) / max(high.bits - low.bits, 1e-9)
      return exp(low.loss + part * (high.loss - low.loss))
    }
    return exp(last.loss)
  }
}
