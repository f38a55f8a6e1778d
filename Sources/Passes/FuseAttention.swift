import GraphIR
import Support
import TensorCore

/// Turns attention that is spelled out into `attention`, which reads queries, caches and writes its
/// result in the order they have: heads are never moved in front of rows.
public struct FuseAttention: GraphPass {
  public static let info = PassInfo(
    "fuse-attention", "products, mask and softmax over caches become attention")

  /// The pass.
  public init() {}

  public func run(_ graph: Graph) throws(DiagnosticError) -> Rewrite {
    var rewrite = Rewrite(graph)
    var fused = 0
    for index in graph.functions.indices {
      let views = Views(graph, graph.functions[index])
      var rewriter = FunctionRewriter(views.function)
      var claims: [(match: AttentionMatch, value: ValueID)] = []
      for (place, operation) in views.function.operations.enumerated() {
        guard case .success(let match) = AttentionMatch.find(operation, in: views) else { continue }
        let type = TensorType([match.rows, match.heads * match.headDim], .float32)
        let value = rewriter.insert(
          .attention,
          [match.query.view.source, match.position, .state(match.keys), .state(match.values)],
          type: type,
          attributes: [
            "heads": .int(match.heads), "kv_heads": .int(match.kvHeads),
            "head_dim": .int(match.headDim), "scale": .float(match.scale),
          ], provenance: match.site, before: place)
        guard
          let result = rewriter.materialise(
            match.order, of: .value(value), shape: type.shape,
            as: views.function[match.result].type, provenance: match.site, before: place)
        else { continue }
        rewriter.replace(match.result, with: result)
        claims.append((match, value))
        fused += 1
      }
      guard rewriter.hasChanges else { continue }
      let finished = rewrite.finish(index, rewriter)
      for (match, old) in claims {
        guard let value = finished.values[old], let result = finished.values[match.result] else {
          continue
        }
        rewrite.certificates += Self.certificates(
          match, function: finished.function.name, value: value, result: result)
      }
    }
    rewrite.counters = [.init(name: "attentions", count: fused)]
    return rewrite
  }

  private static func certificates(
    _ match: AttentionMatch, function: String, value: ValueID, result: ValueID
  ) -> [Certificate] {
    func claim(
      _ part: Certificate.AttentionPart, _ operand: AttentionMatch.Part, _ channels: IndexMap
    ) -> Certificate {
      Certificate(
        pass: info.name, function: function, site: match.site.source, entry: operand.entry,
        source: operand.view.source, removed: operand.view.path, before: operand.view.map,
        after: operand.view.map,
        meaning: .attention(part, of: value, channels: channels))
    }
    let straight = IndexMap.identity(match.headDim)
    var claims = [
      claim(.query, match.query, match.channels), claim(.key, match.key, match.channels),
      claim(.value, match.value, straight),
    ]
    claims += match.renames.map {
      Certificate(
        pass: info.name, function: function, site: match.site.source, entry: $0.entry,
        source: $0.view.source, removed: $0.view.path, before: $0.view.map, after: $0.view.map,
        meaning: .renaming)
    }
    if let (table, part) = match.mask {
      claims.append(
        Certificate(
          pass: info.name, function: function, site: match.site.source, entry: part.entry,
          source: part.view.source, removed: part.view.path, before: part.view.map,
          after: part.view.map, meaning: .mask(table, of: value)))
    }
    claims.append(
      Certificate(
        pass: info.name, function: function, site: match.site.source, entry: match.result,
        source: .value(match.result), removed: [], before: match.order, after: match.order,
        meaning: .attentionResult(result, of: value)))
    return claims
  }
}
