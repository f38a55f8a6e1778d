import GraphIR
import Support
import TensorCore

/// Moves movement from in front of elementwise operations to behind them: where all operands are moved
/// alike, and nobody else reads them so, it is enough to move the result. What meets other movement there
/// cancels.
///
/// An operation whose operands are results of others of its kind waits for them: the pass is repeated
/// until it changes nothing.
public struct SinkMovement: GraphPass {
  public static let info = PassInfo(
    "sink-movement", "movement of all operands alike becomes movement of the result")

  /// The pass.
  public init() {}

  public let isRepeated = true

  /// Whether an operation computes each element of its result from the same element of its operands.
  static func isElementwise(_ code: OpCode) -> Bool {
    switch code {
    case .add, .mul, .silu, .gelu, .scale, .negate: true
    default: false
    }
  }

  public func run(_ graph: Graph) throws(DiagnosticError) -> Rewrite {
    var rewrite = Rewrite(graph)
    var sunk = 0
    for index in graph.functions.indices {
      let views = Views(graph, graph.functions[index])
      var rewriter = FunctionRewriter(views.function)
      let readers = views.readerCounts()
      var claims: [(operation: GraphIR.Operation, operands: [View], new: ValueID, value: ValueID)] =
        []
      for (place, operation) in views.function.operations.enumerated() {
        guard Self.isElementwise(operation.code), let old = operation.results.first,
          let operands = Self.alike(operation, views), let first = operands.first,
          // What others read too stays in front of them; only another shape is worth having twice.
          first.map.isIdentity
            || operands.allSatisfy({ $0.path.allSatisfy { readers[$0.index] == 1 } })
        else { continue }
        let (wanted, shape) = (views.function[old].type, views.shape(first.source))
        var type = wanted
        type.shape = shape
        let new = rewriter.insert(
          operation.code, operands.map(\.source), type: type, attributes: operation.attributes,
          provenance: operation.provenance, before: place)
        guard
          let value = rewriter.materialise(
            first.map, of: .value(new), shape: shape, as: wanted,
            provenance: operation.provenance, before: place)
        else { continue }
        rewriter.replace(old, with: value)
        claims.append((operation, operands, new, value))
        sunk += 1
      }
      guard rewriter.hasChanges else { continue }
      let finished = rewrite.finish(index, rewriter)
      for claim in claims {
        guard let new = finished.values[claim.new], let value = finished.values[claim.value],
          let old = claim.operation.results.first, let map = claim.operands.first?.map
        else { continue }
        func certificate(
          _ entry: ValueID, _ source: Operand, _ removed: [ValueID], _ meaning: Certificate.Meaning
        ) -> Certificate {
          Certificate(
            pass: Self.info.name, function: views.function.name,
            site: claim.operation.provenance.source, entry: entry, source: source,
            removed: removed, before: map, after: map, meaning: meaning)
        }
        for (place, view) in claim.operands.enumerated() {
          guard case .value(let entry) = claim.operation.operands[place] else { continue }
          rewrite.certificates.append(
            certificate(entry, view.source, view.path, .sunkOperand(place, of: new)))
        }
        rewrite.certificates.append(
          certificate(old, .value(old), [], .sunkResult(value, of: new)))
      }
    }
    rewrite.counters = [.init(name: "operations", count: sunk)]
    return rewrite
  }

  /// The views of an operation's operands, when all are moved alike and nothing is lost or repeated.
  private static func alike(_ operation: GraphIR.Operation, _ views: Views) -> [View]? {
    let operands = operation.operands.map { views.view($0) }
    guard let first = operands.first, first.map.inverse != nil,
      first.map.count == views.shape(first.source).count,
      operands.allSatisfy({
        guard case .value = $0.source else { return false }
        return !$0.path.isEmpty && $0.map == first.map
          && views.shape($0.source) == views.shape(first.source)
      })
    else { return nil }
    return operands
  }
}
