import GraphIR
import Support

/// Removes constants that no operation reads any more, such as matrices that were replaced by reordered
/// ones.
public struct DropConstants: GraphPass {
  public static let info = PassInfo("drop-constants", "constants that nobody reads go")

  /// The pass.
  public init() {}

  public func run(_ graph: Graph) throws(DiagnosticError) -> Rewrite {
    var rewrite = Rewrite(graph)
    var used = Set<ConstantID>()
    for function in graph.functions {
      for operation in function.operations {
        for case .constant(let id) in operation.operands { used.insert(id) }
      }
    }
    guard used.count < graph.constants.count else { return rewrite }
    var numbers: [ConstantID: ConstantID] = [:]
    rewrite.graph.constants = []
    for id in used.sorted() { numbers[id] = rewrite.graph.addConstant(graph[id]) }
    for index in graph.functions.indices {
      let function = graph.functions[index]
      rewrite.kept[function.name] = Dictionary(
        uniqueKeysWithValues: function.operations.indices.map { ($0, $0) })
      for place in function.operations.indices {
        rewrite.graph.functions[index].operations[place].operands = function.operations[place]
          .operands.map { operand in
            guard case .constant(let id) = operand, let new = numbers[id] else { return operand }
            return .constant(new)
          }
      }
    }
    rewrite.counters = [
      .init(name: "constants dropped", count: graph.constants.count - used.count)
    ]
    return rewrite
  }
}
