import GraphIR
import Support
import TensorCore

/// One or more operations that run as one, their results side by side.
struct FusedOperation {
  /// One operation's share of the result's channels.
  struct Part {
    /// The place in the function; nil where the function has no use for these channels.
    let operation: Int?
    /// Bytes of a row before these channels.
    let firstByte: Int
  }

  let parts: [Part]
  /// Bytes of a row of all results; nil without any.
  let rowBytes: Int?
  /// The packed layer of linear operations.
  let linear: LinearGroup?

  /// The operations' places in the function.
  var operations: [Int] { parts.compactMap(\.operation) }
}

/// Horizontal fusion: linear layers that read the same input run as one, because an operation of the NPU costs
/// a hundred cycles before it does anything, and so do the rotations of what they make.
///
/// A layer is packed once for all functions, so they all fuse the same layers. Where one has no use for a
/// layer of a group, it is computed with the others. Codebooks stay apart where their layers together have more
/// values than one has.
struct HorizontalFusion {
  private let graph: Graph
  /// The group of every layer that is not alone.
  private var groups: [LinearKey: LinearGroup] = [:]

  /// What a function's layers may share.
  private struct Source: Hashable {
    let input: Operand
    let output: ElementType
  }

  /// Groups the layers of `function`, the one that uses all.
  ///
  /// Throws `DiagnosticError` when a layer is not in its integer form.
  init(_ function: Function, of graph: Graph) throws(DiagnosticError) {
    self.graph = graph
    let turned = Set(
      function.operations.filter { $0.code == .rope }.compactMap(\.operands.first))
    var order: [Source] = []
    /// Layers whose results are turned stand first: their rotations are one, too.
    var members: [Source: (turned: [LinearKey], others: [LinearKey])] = [:]
    var uses: [LinearKey: Int] = [:]
    for operation in function.operations where operation.code == .linear {
      let key = try LinearKey(operation, in: function, of: graph)
      let source = Source(input: operation.operands[0], output: key.outputElement)
      if members[source] == nil { order.append(source) }
      uses[key, default: 0] += 1
      if operation.results.contains(where: { turned.contains(.value($0)) }) {
        members[source, default: ([], [])].turned.append(key)
      } else {
        members[source, default: ([], [])].others.append(key)
      }
    }
    for source in order {
      guard let (turned, others) = members[source] else { continue }
      // Layers that are used twice stay alone.
      let shared = (turned + others).filter {
        uses[$0] == 1 && graph[$0.weight].type.byteCount <= Self.largest
      }
      let palettes = shared.map(palette)
      let narrow = shared.indices.filter { palettes[$0] != nil }
      let union = narrow.reduce(into: Set<Int8>()) { $0.formUnion(palettes[$1] ?? []) }
      add(shared.indices.filter { palettes[$0] == nil }.map { shared[$0] })
      if union.count <= Self.paletteLimit { add(narrow.map { shared[$0] }) }
    }
  }

  /// Bytes of weights above which a layer stays alone: it takes thousands of cycles, and the room for a batch of
  /// all results is better used for resident weights.
  private static let largest = 64 << 10

  /// Weights that the fixed-width format of a U85's fast decoder stores in four bits each.
  private static let paletteLimit = 16

  /// The values of weights that are so few that streams of their own may be narrower; nil when they are more.
  private func palette(_ key: LinearKey) -> Set<Int8>? {
    guard let data = graph[key.weight].data, data.encoding == .dense(.int8) else { return nil }
    return data.bytes.withBytes { bytes in
      var seen = Set<Int8>()
      for weight in bytes.bindMemory(to: Int8.self) where !seen.contains(weight) {
        seen.insert(weight)
        if seen.count > Self.paletteLimit { return nil }
      }
      return seen
    }
  }

  private mutating func add(_ layers: [LinearKey]) {
    guard let first = layers.first else { return }
    let group = LinearGroup(first, Array(layers.dropFirst()))
    for key in group.parts { groups[key] = group }
  }

  /// The operations of a function in the order they run.
  ///
  /// Throws `DiagnosticError` when a layer is not in its integer form.
  func schedule(_ function: Function) throws(DiagnosticError) -> [FusedOperation] {
    var steps: [FusedOperation] = []
    var done = Set<Int>()
    for (index, operation) in function.operations.enumerated() where !done.contains(index) {
      let step: FusedOperation
      switch operation.code {
      case .linear: step = try linears(from: index, in: function)
      case .rope: step = rotations(from: index, in: function, after: steps)
      default: step = fused([index], of: function)
      }
      done.formUnion(step.operations)
      steps.append(step)
    }
    return steps
  }

  /// Operations side by side.
  private func fused(_ operations: [Int], of function: Function) -> FusedOperation {
    var parts: [FusedOperation.Part] = []
    var bytes = 0
    for index in operations {
      parts.append(FusedOperation.Part(operation: index, firstByte: bytes))
      for result in function.operations[index].results { bytes += function[result].type.rowBytes }
    }
    return FusedOperation(parts: parts, rowBytes: bytes > 0 ? bytes : nil, linear: nil)
  }

  /// The layers that run with the one at `index`.
  private func linears(
    from index: Int, in function: Function
  ) throws(DiagnosticError) -> FusedOperation {
    let operation = function.operations[index]
    let key = try LinearKey(operation, in: function, of: graph)
    let group = groups[key] ?? LinearGroup(key)
    var found = [Int?](repeating: nil, count: group.parts.count)
    for other in function.operations.indices.dropFirst(index)
    where function.operations[other].code == .linear
      && function.operations[other].operands.first == operation.operands.first
    {
      let key = try LinearKey(function.operations[other], in: function, of: graph)
      if let place = group.parts.firstIndex(of: key), found[place] == nil { found[place] = other }
    }
    var parts: [FusedOperation.Part] = []
    var bytes = 0
    for (place, key) in group.parts.enumerated() {
      parts.append(FusedOperation.Part(operation: found[place], firstByte: bytes))
      bytes += graph[key.weight].type.shape[0] * group.outputElement.byteCount
    }
    return FusedOperation(parts: parts, rowBytes: bytes, linear: group)
  }

  /// The rotations that run with the one at `index`: of neighbouring results of the same layers, by the same
  /// table.
  private func rotations(
    from index: Int, in function: Function, after steps: [FusedOperation]
  ) -> FusedOperation {
    func source(_ index: Int) -> ValueID? {
      guard case .value(let id)? = function.operations[index].operands.first else { return nil }
      return id
    }
    let first = function.operations[index]
    func matches(_ other: Int) -> Bool {
      let operation = function.operations[other]
      return other >= index && operation.code == .rope && operation.attributes == first.attributes
        && operation.operands.dropFirst() == first.operands.dropFirst()
        && operation.results.map { function[$0].type.element }
          == first.results.map { function[$0].type.element }
    }
    let made = steps.last { step in
      step.operations.contains {
        function.operations[$0].results.contains { $0 == source(index) }
      }
    }
    // Rotations of neighbours, in their order; what is not turned ends them.
    var together: [Int] = []
    for part in made?.parts ?? [] {
      let turned = part.operation.flatMap { maker in
        function.operations.indices.first { other in
          matches(other)
            && function.operations[maker].results.contains { $0 == source(other) }
        }
      }
      if let turned {
        together.append(turned)
      } else if together.contains(index) {
        break
      } else {
        together = []
      }
    }
    return fused(together.contains(index) ? together : [index], of: function)
  }
}

extension TensorType {
  /// Channels of a row, in bytes.
  fileprivate var rowBytes: Int { (shape.dimensions.last ?? 1) * element.byteCount }

  /// Rows of channels.
  var rows: Int { shape.count / max(shape.dimensions.last ?? 1, 1) }
}
