import GraphIR
import Support
import TensorCore

/// Takes outlier channels of feed-forward layers a way of their own: a second, narrow layer beside the first,
/// whose values and weights have scales of their own, and one more addition.
///
/// Dettmers et al., "LLM.int8()" (2022), keep such channels in 16 bits beside 8; here both parts are
/// integers of the recipe. The wide layer keeps its shape, with zeros where the channels were: the codec makes
/// next to nothing of them. The functions compute what they did, within rounding.
struct SeparatedOutliers {
  private var graph: Graph
  /// By the weight or bias that was picked from, the constant of the picked rows or columns.
  private var picked: [ConstantID: ConstantID] = [:]

  /// The graph of `graph` with outlier channels apart; layers that not all functions build alike stay as
  /// they are.
  ///
  /// Throws `DiagnosticError` when a weight cannot be read.
  static func separated(
    _ outliers: OutlierChannels, in graph: Graph
  ) throws(DiagnosticError) -> Graph {
    var result = SeparatedOutliers(graph: graph)
    for hidden in outliers.found { try result.separate(hidden) }
    return result.graph
  }

  private init(graph: Graph) { self.graph = graph }

  private mutating func separate(_ hidden: OutlierChannels.Hidden) throws(DiagnosticError) {
    // The layer in each function that has it.
    var parts: [Int: FeedForward] = [:]
    var users: [ConstantID: Int] = [:]
    // Constants change, so nobody else may have them.
    var changed: Set<ConstantID> = [hidden.reader]
    for (f, function) in graph.functions.enumerated() {
      let uses = ValueUses(function)
      for (index, operation) in function.operations.enumerated() {
        for case .constant(let id) in operation.operands { users[id, default: 0] += 1 }
        guard operation.code == .linear, operation.operands.count > 1,
          operation.operands[1] == .constant(hidden.reader),
          let part = FeedForward(reader: index, in: function, uses),
          Set(part.weights) == hidden.sources
        else { continue }
        parts[f] = part
        for maker in part.operations where function.operations[maker].code == .linear {
          for case .constant(let id) in function.operations[maker].operands { changed.insert(id) }
        }
      }
    }
    guard changed.allSatisfy({ users[$0] == parts.count }) else { return }

    for (f, part) in parts.sorted(by: { $0.key < $1.key }) {
      try insert(part, hidden.channels, function: f)
    }
    for id in changed { try clear(hidden.channels, of: id, isReader: id == hidden.reader) }
  }

  /// Puts the narrow layer and its addition before the addition of the wide one.
  private mutating func insert(
    _ part: FeedForward, _ channels: [Int], function f: Int
  ) throws(DiagnosticError) {
    var function = graph.functions[f]
    let old = function.operations
    var new: [Operation] = []
    var values: [ValueID: ValueID] = [:]
    func copy(_ index: Int, width: Int?) -> Operation {
      var operation = old[index]
      operation.provenance = Provenance(operation.provenance.source + "/outliers")
      operation.operands = operation.operands.map { operand in
        guard case .value(let id) = operand else { return operand }
        return .value(values[id] ?? id)
      }
      operation.results = operation.results.map { id in
        var type = function[id].type
        if let width {
          type.shape = Shape(type.shape.dimensions.dropLast() + [width])
        }
        let made = function.addValue(type)
        values[id] = made
        return made
      }
      return operation
    }
    for index in part.operations {
      var operation = copy(index, width: channels.count)
      if operation.code == .linear {
        for place in operation.operands.indices.dropFirst() {
          guard case .constant(let id) = operation.operands[place] else { continue }
          operation.operands[place] = .constant(try pick(channels, of: id, isReader: false))
        }
      }
      new.append(operation)
    }
    var reader = copy(part.reader, width: nil)
    guard case .constant(let weight) = reader.operands[1] else { return }
    // The bias stays with the wide layer.
    reader.operands = [
      reader.operands[0], .constant(try pick(channels, of: weight, isReader: true)),
    ]
    new.append(reader)
    // What the wide layer is added to takes the narrow one's result first.
    let result = old[part.reader].results[0]
    guard let place = old[part.sum].operands.firstIndex(where: { $0 != .value(result) }) else {
      return
    }
    let sum = function.addValue(function[old[part.sum].results[0]].type)
    new.append(
      Operation(
        .add, [old[part.sum].operands[place], .value(reader.results[0])], results: [sum],
        provenance: Provenance(old[part.sum].provenance.source + "/outliers")))
    function.operations[part.sum].operands[place] = .value(sum)
    function.operations.insert(contentsOf: new, at: part.sum)
    graph.functions[f] = function
  }

  /// The constant of the channels of a weight or bias: rows, or columns of the layer that reads them.
  private mutating func pick(
    _ channels: [Int], of id: ConstantID, isReader: Bool
  ) throws(DiagnosticError) -> ConstantID {
    if let known = picked[id] { return known }
    let (values, rows, columns) = try numbers(id)
    let shape: Shape
    let chosen: [Float]
    if isReader {
      chosen = (0..<rows).flatMap { row in channels.map { values[row * columns + $0] } }
      shape = [rows, channels.count]
    } else {
      chosen = channels.flatMap { values[$0 * columns..<($0 + 1) * columns] }
      shape = graph[id].type.shape.rank == 1 ? [channels.count] : [channels.count, columns]
    }
    let made = graph.addConstant(
      Constant(
        name: graph.unusedName(graph[id].name + ".outliers"), type: TensorType(shape, .float32),
        data: ConstantData(floats: chosen)))
    picked[id] = made
    return made
  }

  /// Makes channels of a weight or bias zero.
  private mutating func clear(
    _ channels: [Int], of id: ConstantID, isReader: Bool
  ) throws(DiagnosticError) {
    var (values, rows, columns) = try numbers(id)
    for channel in channels {
      if isReader {
        for row in 0..<rows { values[row * columns + channel] = 0 }
      } else {
        for column in 0..<columns { values[channel * columns + column] = 0 }
      }
    }
    graph[id].type = TensorType(graph[id].type.shape, .float32)
    graph[id].data = ConstantData(floats: values)
  }

  /// The numbers of a matrix, or of a bias as a matrix of one column.
  private func numbers(
    _ id: ConstantID
  ) throws(DiagnosticError) -> (values: [Float], rows: Int, columns: Int) {
    let shape = graph[id].type.shape
    guard let values = graph[id].floats, (1...2).contains(shape.rank) else {
      throw DiagnosticError(
        "quantize.operation", "its numbers are unreadable",
        at: SourceLocation(element: graph[id].name))
    }
    return (values, shape[0], shape.rank == 2 ? shape[1] : 1)
  }
}
