import GraphIR
import Support
import TensorCore

extension Migration {
  /// The float graph with all rescalings done and nothing rounded. It computes what the original does;
  /// its values are those whose rounded forms the integer graph has.
  ///
  /// Throws `DiagnosticError` when a rescaled constant cannot be read.
  func applied(to graph: Graph) throws(DiagnosticError) -> Graph {
    var result = graph
    let changed = Set(rotations.keys).union(rowFactors.keys).union(columnFactors.keys)
    // An embedding keeps the table it shares with a layer whose weights change.
    for (f, function) in result.functions.enumerated() {
      for (index, operation) in function.operations.enumerated()
      where operation.code == .embedding && operation.operands.count > 1 {
        guard case .constant(let id) = operation.operands[1], changed.contains(id) else { continue }
        let own = result.addConstant(graph[id])
        result.functions[f].operations[index].operands[1] = .constant(own)
      }
    }
    for id in changed {
      let shape = graph[id].type.shape
      guard shape.rank == 2 else { continue }
      let (rows, columns) = (shape[0], shape[1])
      var values = try Self.floats(graph, id)
      if let turns = rotations[id] {
        for (pair, turn) in turns.enumerated() where 2 * pair + 1 < rows {
          for c in 0..<columns {
            let (i, j) = (2 * pair * columns + c, (2 * pair + 1) * columns + c)
            let (a, b) = (values[i], values[j])
            values[i] = turn.x * a - turn.y * b
            values[j] = turn.y * a + turn.x * b
          }
        }
      }
      let (across, along) = (rowFactors[id], columnFactors[id])
      for r in 0..<rows {
        for c in 0..<columns { values[r * columns + c] *= (across?[r] ?? 1) * (along?[c] ?? 1) }
      }
      result[id].data = ConstantData(floats: values)
    }
    for (id, factors) in gammaFactors {
      let values = try Self.floats(graph, id)
      result[id].data = ConstantData(floats: zip(values, factors).map { $0 * $1 })
    }
    var done = Set<ConstantID>()
    for operation in function.operations where operation.code == .linear {
      guard operation.operands.count > 2, case .constant(let weight) = operation.operands[1],
        case .constant(let bias) = operation.operands[2], done.insert(bias).inserted,
        rotations[weight] != nil || rowFactors[weight] != nil
      else { continue }
      var values = try Self.floats(graph, bias)
      for (pair, turn) in (rotations[weight] ?? []).enumerated() where 2 * pair + 1 < values.count {
        let (a, b) = (values[2 * pair], values[2 * pair + 1])
        values[2 * pair] = turn.x * a - turn.y * b
        values[2 * pair + 1] = turn.y * a + turn.x * b
      }
      if let factors = rowFactors[weight] { values = zip(values, factors).map { $0 * $1 } }
      result[bias].data = ConstantData(floats: values)
    }
    return result
  }

  private static func floats(
    _ graph: Graph, _ id: ConstantID
  ) throws(DiagnosticError) -> [Float] {
    guard let values = graph[id].floats else {
      throw DiagnosticError(
        "quantize.operation", "its numbers are unreadable",
        at: SourceLocation(element: graph[id].name))
    }
    return values
  }
}
