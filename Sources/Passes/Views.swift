import GraphIR
import TensorCore

/// What an operand is once all movement before it is looked through: elements of a source that
/// somebody computes, in the order of an index map.
struct View {
  /// What the elements are taken from: a value that no movement defines, or a state.
  var source: Operand
  /// From the operand's elements to the source's.
  var map: IndexMap
  /// The results of the movement operations looked through, from the operand on.
  var path: [ValueID]
}

/// Looks through the movement operations of a function.
struct Views {
  /// The graph of the function.
  let graph: Graph
  /// The function.
  let function: Function
  /// For every value, the index of the operation that defines it; −1 for inputs.
  let definitions: [Int]

  /// The view of every value, each made of those before it: graphs whose movement shares values twofold at
  /// every step take no longer than others.
  private var views: [View] = []

  /// Operations looked through at most; no exporter needs as many.
  static let longestPath = 256

  /// Looks through the movement of a function that the verifier has passed.
  init(_ graph: Graph, _ function: Function) {
    self.graph = graph
    self.function = function
    definitions = function.definitionIndices
    views = function.values.indices.map { own(ValueID($0)) }
    for operation in function.operations where operation.code.isMovement {
      for id in operation.results { views[id.index] = looked(through: operation, to: id) }
    }
  }

  /// For every value, how many operations read it; results of the function count as one more.
  func readerCounts() -> [Int] {
    var counts = [Int](repeating: 0, count: function.values.count)
    for operation in function.operations {
      let read = Set(operation.operands)
      for case .value(let id) in read { counts[id.index] += 1 }
    }
    for id in function.results { counts[id.index] += 1 }
    return counts
  }

  /// The operation that defines a value; nil for an input.
  func definition(_ value: ValueID) -> GraphIR.Operation? {
    let index = definitions[value.index]
    return index < 0 ? nil : function.operations[index]
  }

  /// The operation that defines an operand, when that is a value and the operation has the given code.
  func definition(_ operand: Operand?, _ code: OpCode) -> GraphIR.Operation? {
    guard case .value(let id)? = operand, let operation = definition(id), operation.code == code
    else { return nil }
    return operation
  }

  /// The shape of an operand.
  func shape(_ operand: Operand) -> Shape { graph.type(of: operand, in: function).shape }

  /// A value as its own source.
  private func own(_ id: ValueID) -> View {
    View(source: .value(id), map: .identity(function[id].type.shape.count), path: [])
  }

  /// What a value is with all movement before it looked through. Where a composed map would be no
  /// mixed-radix map, the view ends; the value itself is the last resort.
  func view(_ value: ValueID) -> View { views[value.index] }

  /// The view of an operand, which may be a state or a constant.
  func view(_ operand: Operand) -> View {
    if case .value(let id) = operand { return view(id) }
    return View(source: operand, map: .identity(shape(operand).count), path: [])
  }

  /// The view of a movement's result, by the views of what it reads.
  private func looked(through operation: GraphIR.Operation, to id: ValueID) -> View {
    if operation.code == .concat {
      guard let joined = joined(operation) else { return own(id) }
      return View(source: joined.source, map: joined.map, path: [id] + joined.path)
    }
    let from = operation.operands[0]
    guard let step = operation.movementMap(from: shape(from), to: function[id].type.shape) else {
      return own(id)
    }
    let before = view(from)
    guard let map = step.then(before.map), before.path.count < Self.longestPath else {
      return View(source: from, map: step, path: [id])
    }
    return View(source: before.source, map: map, path: [id] + before.path)
  }

  /// A concatenation of two parts of one source.
  private func joined(_ operation: GraphIR.Operation) -> View? {
    let (a, b) = (view(operation.operands[0]), view(operation.operands[1]))
    guard a.source == b.source, a.path.count + b.path.count < Self.longestPath,
      let outer = outerCount(operation), let map = a.map.joined(with: b.map, outer: outer)
    else { return nil }
    let known = Set(a.path)
    return View(source: a.source, map: map, path: a.path + b.path.filter { !known.contains($0) })
  }

  /// The product of the extents in front of a concatenation's axis.
  func outerCount(_ operation: GraphIR.Operation) -> Int? {
    guard let axis = operation.int("axis") else { return nil }
    return shape(operation.operands[0]).dimensions.prefix(axis).reduce(1, *)
  }
}
