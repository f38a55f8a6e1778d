import Support
import TensorCore

// Rules about names, types, references and SSA form.
extension Verifier {
  mutating func checkUniqueNames() {
    func check(_ kind: String, _ names: [String], _ report: (String, String) -> Void) {
      var seen: Set<String> = []
      for name in names {
        if name.isEmpty {
          report("a \(kind) has no name", kind)
        } else if !seen.insert(name).inserted {
          report("two \(kind)s are called \(name)", "\(kind) \(name)")
        }
      }
    }
    var found: [(String, String)] = []
    check("constant", graph.constants.map(\.name)) { found.append(($0, $1)) }
    check("state", graph.states.map(\.name)) { found.append(($0, $1)) }
    check("function", graph.functions.map(\.name)) { found.append(($0, $1)) }
    for (message, element) in found { report(.uniqueNames, message, in: element) }
  }

  mutating func checkTypes() {
    for constant in graph.constants { checkType(constant.type, "constant @\(constant.name)") }
    for state in graph.states { checkType(state.type, "state $\(state.name)") }
    for function in graph.functions {
      for (index, value) in function.values.enumerated() {
        checkType(value.type, "function @\(function.name), value %\(index)")
      }
    }
  }

  private mutating func checkType(_ type: TensorType, _ element: String) {
    guard type.shape.dimensions.allSatisfy({ $0 > 0 }), let count = type.shape.checkedCount,
      count <= 1 << 48
    else {
      report(.types, "extents \(type.shape) must be positive and not absurd", in: element)
      return
    }
    guard let quant = type.quant else { return }
    if !type.element.isInteger {
      report(.types, "\(type.element.rawValue) cannot have a quantisation", in: element)
    }
    if !quant.scales.allSatisfy({ $0.isFinite && $0 > 0 }) {
      report(.types, "scales must be finite and positive", in: element)
    }
    var expected = 1
    if let axis = quant.axis {
      guard type.shape.dimensions.indices.contains(axis) else {
        report(.types, "the scales' axis \(axis) is not one of \(type.shape)", in: element)
        return
      }
      expected = type.shape[axis]
    }
    if quant.scales.count != expected {
      report(.types, "\(quant.scales.count) scales instead of \(expected)", in: element)
    }
    if quant.zeroPoints.count != 1, quant.zeroPoints.count != expected {
      report(.types, "\(quant.zeroPoints.count) zero points instead of \(expected)", in: element)
    }
  }

  mutating func checkConstantData() {
    for constant in graph.constants {
      guard let data = constant.data, let count = constant.type.shape.checkedCount else { continue }
      let element = "constant @\(constant.name)"
      switch data.encoding {
      case .blocks where constant.type.element != .float32:
        report(.constantData, "blocks stand for float32 only", in: element)
      case .dense(let encoded)
      where encoded != constant.type.element
        && !(constant.type.element == .float32 && !encoded.isInteger && encoded != .bool):
        report(
          .constantData,
          "\(encoded.rawValue) data cannot stand for \(constant.type.element.rawValue)",
          in: element)
      default:
        let bytes = data.encoding.byteCount(elements: count)
        if bytes != data.bytes.count {
          report(
            .constantData,
            "has \(data.bytes.count) bytes; \(constant.type.shape) of \(data.encoding.name) needs "
              + (bytes.map(String.init) ?? "whole blocks"), in: element)
        }
      }
    }
  }

  mutating func checkReferences(_ function: Function) {
    func exists(_ id: ValueID) -> Bool { function.values.indices.contains(id.index) }
    for (index, operation) in function.operations.enumerated() {
      let name = "function @\(function.name), operation \(index) (\(operation.code.rawValue))"
      for (position, operand) in operation.operands.enumerated() {
        let sound =
          switch operand {
          case .value(let id): exists(id)
          case .constant(let id): graph.constants.indices.contains(id.index)
          case .state(let id): graph.states.indices.contains(id.index)
          }
        if !sound { report(.references, "operand \(position) does not exist", in: name) }
      }
      for id in operation.results where !exists(id) {
        report(.references, "result %\(id.index) does not exist", in: name)
      }
    }
    for id in function.inputs + function.results where !exists(id) {
      report(
        .references, "input or result %\(id.index) does not exist",
        in: "function @\(function.name)")
    }
  }

  mutating func checkSingleDefinition(_ function: Function) {
    var definitions = [Int](repeating: 0, count: function.values.count)
    for id in function.inputs { definitions[id.index] += 1 }
    for operation in function.operations {
      for id in operation.results { definitions[id.index] += 1 }
    }
    for (index, count) in definitions.enumerated() where count != 1 {
      report(
        .singleDefinition,
        count == 0 ? "value %\(index) is never defined" : "value %\(index) is defined twice",
        in: "function @\(function.name)")
    }
  }

  mutating func checkDominance(_ function: Function) {
    var defined = [Bool](repeating: false, count: function.values.count)
    for id in function.inputs { defined[id.index] = true }
    for (index, operation) in function.operations.enumerated() {
      for case .value(let id) in operation.operands where !defined[id.index] {
        report(
          .dominance, "uses %\(id.index) before it is defined",
          in: "function @\(function.name), operation \(index) (\(operation.code.rawValue))")
      }
      for id in operation.results { defined[id.index] = true }
    }
    for id in function.results where !defined[id.index] {
      report(
        .dominance, "returns %\(id.index), which is not defined", in: "function @\(function.name)")
    }
  }

  /// Attention reads rows 0 ... pos+i of its caches: of these, the function must itself write the
  /// newest before, from the same rows.
  mutating func checkStateUse(_ function: Function) {
    var written: Set<StateID> = []
    for (index, operation) in function.operations.enumerated() {
      let states = operation.operands.compactMap { operand -> StateID? in
        if case .state(let id) = operand { id } else { nil }
      }
      let name = "function @\(function.name), operation \(index) (\(operation.code.rawValue))"
      if operation.code == .kvWrite || operation.code == .cacheWrite {
        for id in states where !written.insert(id).inserted {
          report(.stateUse, "writes $\(graph[id].name) a second time", in: name)
        }
        continue
      }
      if Set(states).count != states.count {
        report(.stateUse, "reads keys and values from the same state", in: name)
      }
      for id in states where !written.contains(id) {
        report(.stateUse, "reads $\(graph[id].name), which is not written before", in: name)
      }
    }
  }
}
