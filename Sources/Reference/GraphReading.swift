import GraphIR
import Support
import TensorCore

/// Reads what an interpreter needs out of an operation, saying what is missing.
struct GraphReading {
  let graph: Graph
  let function: Function

  /// An error about `operation`.
  static func malformed(_ operation: GraphIR.Operation, _ message: String) -> DiagnosticError {
    DiagnosticError(
      "reference.operation", "\(operation.code.rawValue): \(message)",
      at: SourceLocation(element: operation.provenance.source))
  }

  /// The value in place `index`.
  func value(
    _ operation: GraphIR.Operation, _ index: Int
  ) throws(DiagnosticError) -> Int {
    guard operation.operands.indices.contains(index),
      case .value(let id) = operation.operands[index]
    else { throw Self.malformed(operation, "operand \(index) must be a value") }
    return id.index
  }

  /// The constant in place `index`, with a payload.
  func constant(
    _ operation: GraphIR.Operation, _ index: Int
  ) throws(DiagnosticError) -> (ConstantID, Constant, ConstantData) {
    guard operation.operands.indices.contains(index),
      case .constant(let id) = operation.operands[index], let data = graph[id].data
    else { throw Self.malformed(operation, "operand \(index) must be a constant with content") }
    let constant = graph[id]
    guard let count = constant.type.shape.checkedCount,
      let bytes = data.encoding.byteCount(elements: count), bytes == data.bytes.count
    else {
      throw Self.malformed(operation, "the content of '\(constant.name)' does not fit its shape")
    }
    return (id, constant, data)
  }

  /// All numbers of the constant in place `index` as floats.
  func floats(
    _ operation: GraphIR.Operation, _ index: Int, count: Int
  ) throws(DiagnosticError) -> [Float] {
    let (_, constant, data) = try constant(operation, index)
    guard constant.type.shape.count == count, let values = data.floats(count: count) else {
      throw Self.malformed(operation, "'\(constant.name)' must hold \(count) numbers")
    }
    return values
  }

  /// All numbers of the integer constant in place `index`.
  func integers<T: FixedWidthInteger>(
    _ operation: GraphIR.Operation, _ index: Int, _ type: T.Type, count: Int
  ) throws(DiagnosticError) -> [T] {
    let (_, constant, data) = try constant(operation, index)
    guard constant.type.shape.count == count, let values = data.integers(T.self, count: count)
    else {
      throw Self.malformed(operation, "'\(constant.name)' must hold \(count) of \(T.self)")
    }
    return values
  }

  /// The state in place `index`.
  func state(_ operation: GraphIR.Operation, _ index: Int) throws(DiagnosticError) -> StateID {
    guard operation.operands.indices.contains(index),
      case .state(let id) = operation.operands[index],
      graph.states.indices.contains(id.index), graph[id].type.shape.rank == 3
    else { throw Self.malformed(operation, "operand \(index) must be a state of three axes") }
    return id
  }

  /// The innermost extent of a value.
  func width(_ value: Int) -> Int { function.values[value].type.shape.dimensions.last ?? 1 }

  /// A positive integer attribute.
  func positive(
    _ operation: GraphIR.Operation, _ name: String
  ) throws(DiagnosticError) -> Int {
    guard let number = operation.int(name), number > 0 else {
      throw Self.malformed(operation, "needs a positive attribute '\(name)'")
    }
    return number
  }

  /// An integer attribute in 0 ... 62.
  func shift(_ operation: GraphIR.Operation, _ name: String) throws(DiagnosticError) -> Int {
    guard let number = operation.int(name), (0...62).contains(number) else {
      throw Self.malformed(operation, "needs an attribute '\(name)' in 0 ... 62")
    }
    return number
  }

  /// The first result.
  func result(_ operation: GraphIR.Operation) throws(DiagnosticError) -> Int {
    guard operation.results.count == 1 else {
      throw Self.malformed(operation, "must have one result")
    }
    return operation.results[0].index
  }

  /// For every operation, the values nobody reads after it.
  func lastUses() -> [[Int]] {
    var last = [Int](repeating: -1, count: function.values.count)
    for (index, operation) in function.operations.enumerated() {
      for case .value(let id) in operation.operands { last[id.index] = index }
      for id in operation.results where last[id.index] < 0 { last[id.index] = index }
    }
    for id in function.results { last[id.index] = -1 }
    for id in function.inputs { last[id.index] = -1 }
    var dead = [[Int]](repeating: [], count: function.operations.count)
    for (value, index) in last.enumerated() where index >= 0 { dead[index].append(value) }
    return dead
  }

  /// Checks a call's arguments against the function and the caches.
  static func check(
    _ function: Function, graph: Graph, ids: [Int32], position: Int
  ) throws(DiagnosticError) {
    let rows = function.inputs.first.map { function[$0].type.shape.count } ?? 0
    guard !ids.isEmpty, ids.count <= rows else {
      throw DiagnosticError(
        "reference.rows", "'\(function.name)' takes 1 to \(rows) tokens, not \(ids.count)")
    }
    let context = graph.states.map { $0.type.shape[1] }.min() ?? Int.max
    guard position >= 0, position <= context - ids.count else {
      throw DiagnosticError(
        "reference.context",
        "positions \(position) to \(position + ids.count - 1) exceed the context of \(context)")
    }
  }
}
