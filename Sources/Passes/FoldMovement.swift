import GraphIR
import Support
import TensorCore

/// Removes chains of movement that end where they began, and shortens those that do not.
public struct FoldMovement: GraphPass {
  public static let info = PassInfo(
    "fold-movement", "movement that comes to nothing goes, longer chains become the shortest")

  /// The pass.
  public init() {}

  public func run(_ graph: Graph) throws(DiagnosticError) -> Rewrite {
    var rewrite = Rewrite(graph)
    var (folded, shortened) = (0, 0)
    for index in graph.functions.indices {
      let views = Views(graph, graph.functions[index])
      var rewriter = FunctionRewriter(views.function)
      var claims: [(claim: Certificate, value: ValueID)] = []
      let counts = views.readerCounts()
      for id in readers(views) {
        let view = views.view(id)
        guard !view.path.isEmpty, case .value(let source) = view.source else { continue }
        let type = views.function[id].type
        let place = views.definitions[id.index]
        var value = source
        if !view.map.isIdentity || views.function[source].type != type {
          let shape = views.function[source].type.shape
          // What others read too would stay, and its movement be done twice.
          let isOwn = view.path.dropFirst().allSatisfy { counts[$0.index] == 1 }
          // A value on the way that is the same already, nearest to the source.
          let same = view.path.dropFirst().last {
            views.function[$0].type == type && views.view($0).map == view.map
              && views.view($0).source == view.source
          }
          if isOwn, view.map.inverse != nil,
            view.path.count > FunctionRewriter.steps(view.map, from: shape, to: type.shape),
            let made = rewriter.materialise(
              view.map, of: view.source, shape: shape, as: type,
              provenance: views.function.operations[place].provenance, before: place)
          {
            value = made
          } else if let same {
            value = same
          } else {
            continue
          }
          shortened += 1
        } else {
          folded += 1
        }
        rewriter.replace(id, with: value)
        claims.append(
          (
            Certificate(
              pass: Self.info.name, function: views.function.name,
              site: views.function.operations[place].provenance.source, entry: id,
              source: view.source, removed: view.path, before: view.map, after: view.map,
              meaning: .walk(value, to: view.source)), value
          ))
      }
      // Movement that nobody reads goes too.
      let kept = rewriter.finish().kept
      let dead = views.function.operations.indices.contains {
        views.function.operations[$0].code.isMovement && kept[$0] == nil
      }
      guard rewriter.hasChanges || dead else { continue }
      let finished = rewrite.finish(index, rewriter)
      for (var claim, value) in claims {
        guard let new = finished.values[value], case .value(let old) = claim.source,
          let source = finished.values[old]
        else { continue }
        claim.meaning = .walk(new, to: .value(source))
        rewrite.certificates.append(claim)
      }
    }
    rewrite.counters = [
      .init(name: "chains folded", count: folded),
      .init(name: "chains shortened", count: shortened),
    ]
    return rewrite
  }

  /// The values that operations other than movement, and the function's callers, read.
  private func readers(_ views: Views) -> [ValueID] {
    var found: Set<ValueID> = Set(views.function.results)
    for operation in views.function.operations where !operation.code.isMovement {
      for case .value(let id) in operation.operands { found.insert(id) }
    }
    return found.sorted()
  }
}
