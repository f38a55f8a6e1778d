import GraphIR
import TensorCore

/// Rewrites one function: new operations in front of old ones, values that take other values' places.
/// What nobody reads any more disappears at the end.
struct FunctionRewriter {
  /// The function as it was; values that are added get IDs behind its own.
  private(set) var function: Function
  private var inserted: [Int: [GraphIR.Operation]] = [:]
  private var dropped: Set<Int> = []
  private var replacements: [ValueID: ValueID] = [:]

  /// A rewriter of `function`.
  init(_ function: Function) { self.function = function }

  /// Whether anything has been changed.
  var hasChanges: Bool { !inserted.isEmpty || !dropped.isEmpty || !replacements.isEmpty }

  /// Inserts an operation with one result in front of operation `index` and returns the result.
  mutating func insert(
    _ code: OpCode, _ operands: [Operand], type: TensorType,
    attributes: [String: Attribute] = [:], provenance: Provenance, before index: Int
  ) -> ValueID {
    let result = function.addValue(type)
    insert(
      GraphIR.Operation(
        code, operands, results: [result], attributes: attributes, provenance: provenance),
      before: index)
    return result
  }

  /// Inserts an operation in front of operation `index`.
  mutating func insert(_ operation: GraphIR.Operation, before index: Int) {
    inserted[index, default: []].append(operation)
  }

  /// Removes operation `index`, whatever reads it.
  mutating func drop(_ index: Int) { dropped.insert(index) }

  /// Makes everything that reads `old` read `new`.
  mutating func replace(_ old: ValueID, with new: ValueID) { replacements[old] = new }

  /// Inserts the reshapes and the transpose that bring a source into the order of a map, as a value of
  /// type `type`; nil when the map drops or repeats elements.
  mutating func materialise(
    _ map: IndexMap, of source: Operand, shape: Shape, as type: TensorType,
    provenance: Provenance, before index: Int
  ) -> ValueID? {
    guard map.inverse != nil, shape.count == type.shape.count else { return nil }
    func typed(_ extents: [Int]) -> TensorType {
      TensorType(Shape(extents), type.element, quant: type.quant)
    }
    var (value, extents) = (source, shape.dimensions)
    if let order = Self.transpose(map, from: shape, to: type.shape) {
      return insert(
        .transpose, [value], type: type, attributes: ["permutation": .ints(order)],
        provenance: provenance, before: index)
    }
    if !map.isIdentity {
      // Axes of the source in row-major order are the digits by falling stride.
      let order = map.digits.indices.sorted { map.digits[$0].stride > map.digits[$1].stride }
      let cut = order.map { map.digits[$0].extent }
      if cut != extents {
        value = .value(
          insert(.reshape, [value], type: typed(cut), provenance: provenance, before: index))
      }
      let permutation = map.digits.indices.map { digit in
        order.firstIndex(of: digit) ?? digit
      }
      extents = permutation.map { cut[$0] }
      value = .value(
        insert(
          .transpose, [value], type: typed(extents),
          attributes: ["permutation": .ints(permutation)], provenance: provenance, before: index))
    }
    if extents != type.shape.dimensions || value == source {
      value = .value(
        insert(.reshape, [value], type: type, provenance: provenance, before: index))
    }
    guard case .value(let result) = value else { return nil }
    return result
  }

  /// The permutation by which one transpose does all of a map that moves something; nil when none does.
  static func transpose(_ map: IndexMap, from shape: Shape, to result: Shape) -> [Int]? {
    guard !map.isIdentity, shape.rank == result.rank else { return nil }
    let strides = IndexMap.strides(of: shape.dimensions)
    let steps = IndexMap.strides(of: result.dimensions)
    var free = Array(shape.dimensions.indices)
    var order: [Int] = []
    for (extent, step) in zip(result.dimensions, steps) {
      let axis = free.firstIndex {
        shape[$0] == extent && (extent == 1 || strides[$0] == map(step) - map(0))
      }
      guard let axis else { return nil }
      order.append(free.remove(at: axis))
    }
    let made = IndexMap(extents: result.dimensions, strides: order.map { strides[$0] })
    return made == map ? order : nil
  }

  /// How many operations `materialise` inserts for a reordering.
  static func steps(_ map: IndexMap, from shape: Shape, to result: Shape) -> Int {
    guard !map.isIdentity, transpose(map, from: shape, to: result) == nil else { return 1 }
    let cut = map.digits.sorted { $0.stride > $1.stride }.map(\.extent)
    return (cut != shape.dimensions ? 1 : 0) + 1
      + (map.digits.map(\.extent) != result.dimensions ? 1 : 0)
  }

  /// The rewritten function and where its parts come from.
  struct Finished {
    /// The function, with values numbered anew.
    var function: Function
    /// From values of the function with its additions to those of the result; replaced ones lead to what
    /// took their place.
    var values: [ValueID: ValueID]
    /// From operations as they were to those of the result.
    var kept: [Int: Int]
  }

  /// Builds the function: operations that nobody reads and that write no state are left out.
  func finish() -> Finished {
    struct Item {
      var operation: GraphIR.Operation
      var old: Int?
    }
    func resolve(_ id: ValueID) -> ValueID {
      var id = id
      while let next = replacements[id] { id = next }
      return id
    }
    var items: [Item] = []
    for (index, operation) in function.operations.enumerated() {
      for new in inserted[index] ?? [] { items.append(Item(operation: new, old: nil)) }
      if !dropped.contains(index) {
        items.append(Item(operation: operation, old: index))
      }
    }
    var live = [Bool](repeating: false, count: function.values.count)
    for id in function.results { live[resolve(id).index] = true }
    var keeps = [Bool](repeating: false, count: items.count)
    for (i, item) in items.enumerated().reversed() {
      guard
        item.operation.results.isEmpty || item.operation.results.contains(where: { live[$0.index] })
      else { continue }
      keeps[i] = true
      for case .value(let id) in item.operation.operands { live[resolve(id).index] = true }
    }
    var result = Function(name: function.name)
    var finished = Finished(function: result, values: [:], kept: [:])
    for id in function.inputs { finished.values[id] = result.addInput(function[id].type) }
    for (item, isKept) in zip(items, keeps) where isKept {
      var operation = item.operation
      operation.operands = operation.operands.map { operand in
        guard case .value(let id) = operand, let new = finished.values[resolve(id)] else {
          return operand
        }
        return .value(new)
      }
      operation.results = operation.results.map { id in
        let new = result.addValue(function[id].type)
        finished.values[id] = new
        return new
      }
      if let old = item.old {
        finished.kept[old] = result.operations.count
      }
      result.operations.append(operation)
    }
    result.results = function.results.compactMap { finished.values[resolve($0)] }
    for id in replacements.keys { finished.values[id] = finished.values[resolve(id)] }
    finished.function = result
    return finished
  }
}
