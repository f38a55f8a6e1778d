import GraphIR

/// The value caches whose heads can be rotated: every function stores the results of linear layers there, and
/// attention alone reads them, for linear layers.
struct RotatedValues {
  /// Head widths by cache.
  private(set) var widths: [StateID: Int] = [:]

  /// The caches of a graph.
  init(_ graph: Graph) {
    var refused: Set<StateID> = []
    for function in graph.functions {
      for operation in function.operations {
        for (place, operand) in operation.operands.enumerated() {
          guard case .state(let state) = operand else { continue }
          let shape = graph[state].type.shape
          if shape.rank == 3, OrthogonalRotation.suits(shape[2]),
            Self.allowsRotation(operation, place, width: shape[2], in: function)
          {
            widths[state] = shape[2]
          } else {
            refused.insert(state)
          }
        }
      }
    }
    for state in refused { widths[state] = nil }
  }

  /// Whether one use of a cache, operand `place` of an operation, does not care how heads are rotated if the layers
  /// around it follow.
  private static func allowsRotation(
    _ operation: GraphIR.Operation, _ place: Int, width: Int, in function: Function
  ) -> Bool {
    func readers(_ value: ValueID) -> [GraphIR.Operation] {
      function.operations.filter { $0.operands.contains(.value(value)) }
    }
    switch operation.code {
    case .kvWrite:
      guard place == 2, operation.operands.count == 3, case .value(let x) = operation.operands[0],
        let writer = function.operations.first(where: { $0.results.contains(x) })
      else { return false }
      return writer.code == .linear && readers(x).count == 1 && !function.results.contains(x)
    case .attention:
      guard place == 3, operation.operands.count == 4,
        operation.operands[2] != operation.operands[3],
        operation.int("head_dim") == width, let result = operation.results.first
      else { return false }
      return !function.results.contains(result)
        && readers(result).allSatisfy {
          $0.code == .linear && $0.operands.first == .value(result)
        }
    default: return false
    }
  }
}
