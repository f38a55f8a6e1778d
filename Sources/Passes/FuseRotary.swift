import GraphIR
import Support
import TensorCore

/// Turns rotations of pairs that are spelled out (slices, a negation, a concatenation, products with
/// rows of cosines and sines) into `rope`.
///
/// `rope` rotates neighbours. Where the pairs are halves of a head, the rows of the linear layer before
/// are reordered, and what reads the rotation gets its order back by a transpose, which later passes
/// remove: scores do not depend on the order of channels that queries and keys share.
public struct FuseRotary: GraphPass {
  public static let info = PassInfo(
    "fuse-rotary", "rotations spelled out by slices and products become rope")

  /// The pass.
  public init() {}

  public func run(_ graph: Graph) throws(DiagnosticError) -> Rewrite {
    var rewrite = Rewrite(graph)
    var constants = ConstantMaker(pass: Self.info.name)
    var (fused, moved) = (0, 0)
    for index in graph.functions.indices {
      let views = Views(graph, graph.functions[index])
      var rewriter = FunctionRewriter(views.function)
      var claims: [(match: RotaryMatch, value: ValueID, result: ValueID)] = []
      for (place, operation) in views.function.operations.enumerated() {
        guard case .success(let match) = RotaryMatch.find(operation, in: views) else { continue }
        guard
          let made = emit(match, at: place, operation, views, &rewriter, &constants, &rewrite.graph)
        else { continue }
        claims.append((match, made.rotated, made.result))
        fused += 1
        if match.rotation.pairing == .halves { moved += 1 }
      }
      guard rewriter.hasChanges else { continue }
      let finished = rewrite.finish(index, rewriter)
      for claim in claims {
        guard let value = finished.values[claim.value], let result = finished.values[claim.result]
        else { continue }
        rewrite.certificates += claim.match.certificates(
          pass: Self.info.name, function: finished.function.name, value: value, result: result)
      }
    }
    rewrite.constants = constants.certificates
    rewrite.counters = [
      .init(name: "rotations", count: fused), .init(name: "rows reordered", count: moved),
    ]
    return rewrite
  }

  /// Inserts the rotation; what it is and what takes the place of the old result.
  private func emit(
    _ match: RotaryMatch, at place: Int, _ operation: GraphIR.Operation, _ views: Views,
    _ rewriter: inout FunctionRewriter, _ constants: inout ConstantMaker, _ graph: inout Graph
  ) -> (rotated: ValueID, result: ValueID)? {
    guard let old = operation.results.first,
      let table = constants.rotationTable(match, in: &graph),
      let order = match.result.then(match.rotation.over(count: match.result.count).reordering)
    else { return nil }
    var source = match.source
    if match.rotation.pairing == .halves {
      guard case .value(let id) = match.source, let linear = views.definition(id),
        linear.code == .linear
      else { return nil }
      var operands = linear.operands
      for i in operands.indices.dropFirst() {
        guard case .constant(let constant) = operands[i],
          let rows = constants.pairedRows(
            constant, headDim: match.rotation.headDim, in: &graph)
        else { return nil }
        operands[i] = .constant(rows)
      }
      source = .value(
        rewriter.insert(
          .linear, operands, type: views.function[id].type, provenance: linear.provenance,
          before: place))
    }
    let type = graph.type(of: match.source, in: views.function)
    let rotated = rewriter.insert(
      .rope, [source, match.position, .constant(table)], type: type,
      attributes: ["head_dim": .int(match.rotation.headDim)], provenance: operation.provenance,
      before: place)
    let wanted = views.function[old].type
    var result = rotated
    if !order.isIdentity || wanted.shape != type.shape {
      guard
        let value = rewriter.materialise(
          order, of: .value(rotated), shape: type.shape, as: wanted,
          provenance: operation.provenance, before: place)
      else { return nil }
      result = value
    }
    rewriter.replace(old, with: result)
    return (rotated, result)
  }
}
