import GraphIR
import TensorCore

/// Follows single elements through the movement operations of a function, axis by axis.
///
/// This is the checker's own reading of what the operations mean: it knows nothing of index maps.
struct MovementWalker {
  let graph: Graph
  let function: Function
  private let definitions: [Int]

  /// Where an element comes from.
  struct Place: Hashable {
    /// What it is an element of.
    var source: Operand
    /// Which element, row-major.
    var index: Int
    /// Whether it is negated on the way.
    var isNegated = false
  }

  /// A walker in a function that the verifier has passed.
  init(_ graph: Graph, _ function: Function) {
    self.graph = graph
    self.function = function
    definitions = function.definitionIndices
  }

  /// The operation that defines an operand.
  func definition(_ operand: Operand) -> GraphIR.Operation? {
    guard case .value(let id) = operand, definitions.indices.contains(id.index),
      definitions[id.index] >= 0
    else { return nil }
    return function.operations[definitions[id.index]]
  }

  /// The index of the operation that defines a value; nil for inputs and values that do not exist.
  func definitionIndex(_ value: ValueID) -> Int? {
    guard definitions.indices.contains(value.index), definitions[value.index] >= 0 else {
      return nil
    }
    return definitions[value.index]
  }

  /// The number of elements of a value; 0 for one that does not exist.
  func count(_ value: ValueID) -> Int {
    function.values.indices.contains(value.index) ? function[value].type.shape.count : 0
  }

  /// Follows an element until it arrives at an element of `end`, or, without an end, of anything that no
  /// movement defines. Passes through negations and scalings too. Nil when the way does not lead to `end`.
  func walk(
    _ value: ValueID, _ index: Int, to end: Operand?, visited: inout Set<ValueID>
  ) -> Place? {
    guard count(value) > index, index >= 0 else { return nil }
    var place = Place(source: .value(value), index: index)
    while place.source != end {
      guard let operation = definition(place.source), let next = step(operation, place),
        case .value(let id) = place.source
      else { return end == nil ? place : nil }
      visited.insert(id)
      place = next
    }
    return place
  }

  /// One operation back; nil for one that computes.
  private func step(_ operation: GraphIR.Operation, _ place: Place) -> Place? {
    func shape(_ operand: Operand) -> [Int] {
      graph.type(of: operand, in: function).shape.dimensions
    }
    guard let from = operation.operands.first else { return nil }
    let (source, result) = (shape(from), shape(place.source))
    var at = Self.coordinates(place.index, of: result)
    var next = Place(source: from, index: place.index, isNegated: place.isNegated)
    switch operation.code {
    case .reshape, .cacheRead, .scale: return next
    case .negate:
      next.isNegated.toggle()
      return next
    case .transpose:
      let order = operation.ints("permutation") ?? []
      var moved = at
      for (axis, old) in order.enumerated() { moved[old] = at[axis] }
      at = moved
    case .expand:
      for axis in at.indices where source[axis] == 1 { at[axis] = 0 }
    case .slice:
      let axis = operation.int("axis") ?? 0
      at[axis] = (operation.int("start") ?? 0) + at[axis] * (operation.int("step") ?? 1)
    case .concat:
      let axis = operation.int("axis") ?? 0
      if at[axis] >= source[axis] {
        next.source = operation.operands[1]
        at[axis] -= source[axis]
        next.index = Self.index(at, of: shape(next.source))
        return next
      }
    default: return nil
    }
    next.index = Self.index(at, of: source)
    return next
  }

  /// The coordinates of an element of a row-major tensor.
  static func coordinates(_ index: Int, of shape: [Int]) -> [Int] {
    var (rest, at) = (index, shape)
    for axis in shape.indices.reversed() {
      at[axis] = rest % shape[axis]
      rest /= shape[axis]
    }
    return at
  }

  /// The row-major index of coordinates.
  static func index(_ at: [Int], of shape: [Int]) -> Int {
    zip(at, shape).reduce(0) { $0 * $1.1 + $1.0 }
  }
}
