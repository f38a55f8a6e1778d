import GraphIR
import Support

/// A linear layer whose weights are rounded.
struct LinearLayer {
  /// The weight.
  let id: ConstantID
  /// The weight's name in the user's file.
  let name: String
  /// Output channels.
  let rows: Int
  /// Input channels.
  let columns: Int
  /// What makes the values it reads.
  let reads: Site
  /// The layer itself.
  let site: Site

  /// The layers of `score` (or `decode`), each weight once.
  static func all(in graph: Graph) throws(DiagnosticError) -> [LinearLayer] {
    guard let function = graph.function("score") ?? graph.function("decode") else {
      throw DiagnosticError("quantize.function", "the graph has neither 'score' nor 'decode'")
    }
    var producer: [ValueID: Site] = [:]
    var found: [LinearLayer] = []
    var known = Set<ConstantID>()
    for (operation, site) in zip(function.operations, Site.sites(of: function)) {
      for id in operation.results { producer[id] = site }
      guard operation.code == .linear, operation.operands.count > 1,
        case .value(let x) = operation.operands[0],
        case .constant(let id) = operation.operands[1], let from = producer[x],
        graph[id].type.shape.rank == 2, known.insert(id).inserted
      else { continue }
      found.append(
        LinearLayer(
          id: id, name: graph[id].name, rows: graph[id].type.shape[0],
          columns: graph[id].type.shape[1], reads: from, site: site))
    }
    return found
  }
}
