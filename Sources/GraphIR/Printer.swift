import TensorCore

/// Writes a graph in its textual form (`.gir`), which `GraphParser` reads back.
///
/// ```
/// graph "stories"
/// meta "context" = "512"
/// constant @tok_embeddings : float32[512x64]
/// state $blk.0.k : float32[4x512x8]
/// function @decode(%0 : int32[1], %1 : int32[]) {
///   %2 = embedding %0, @tok_embeddings : float32[1x64] from "tok_embeddings"
///   kv_write %2, %1, $blk.0.k from "blk.0.key"
///   return %2
/// }
/// ```
/// Numbers of constants are left out. Output is the same for the same graph: dictionaries are
/// printed in the order of their keys.
public struct GraphPrinter {
  private var text = ""

  /// The text of a graph.
  public static func print(_ graph: Graph) -> String {
    var printer = GraphPrinter()
    printer.write(graph)
    return printer.text
  }

  private mutating func write(_ graph: Graph) {
    text += "graph \(quoted(graph.name))\n"
    for (key, value) in graph.metadata.sorted(by: { $0.key < $1.key }) {
      text += "meta \(quoted(key)) = \(quoted(value))\n"
    }
    for constant in graph.constants {
      text += "constant @\(name(constant.name)) : \(type(constant.type))\n"
    }
    for state in graph.states {
      text += "state $\(name(state.name)) : \(type(state.type))\n"
    }
    for function in graph.functions { write(function, in: graph) }
  }

  private mutating func write(_ function: Function, in graph: Graph) {
    let inputs = function.inputs.map { "%\($0.index) : \(type(function[$0].type))" }
    text += "function @\(name(function.name))(\(inputs.joined(separator: ", "))) {\n"
    for operation in function.operations { write(operation, of: function, in: graph) }
    let results = function.results.map { " %\($0.index)" }.joined(separator: ",")
    text += "  return\(results)\n}\n"
  }

  private mutating func write(_ operation: Operation, of function: Function, in graph: Graph) {
    text += "  "
    if !operation.results.isEmpty {
      text += operation.results.map { "%\($0.index)" }.joined(separator: ", ") + " = "
    }
    text += operation.code.rawValue
    let operands = operation.operands.map { operand in
      switch operand {
      case .value(let id): " %\(id.index)"
      case .constant(let id): " @\(name(graph[id].name))"
      case .state(let id): " $\(name(graph[id].name))"
      }
    }
    text += operands.joined(separator: ",")
    if !operation.attributes.isEmpty {
      let list = operation.attributes.sorted(by: { $0.key < $1.key }).map { key, value in
        "\(name(key)) = \(attribute(value))"
      }
      text += " {\(list.joined(separator: ", "))}"
    }
    if !operation.results.isEmpty {
      text += " : " + operation.results.map { type(function[$0].type) }.joined(separator: ", ")
    }
    text += " from \(quoted(operation.provenance.source))\n"
  }

  private func attribute(_ value: Attribute) -> String {
    switch value {
    case .int(let number): "\(number)"
    case .float(let number): "\(number)"
    case .string(let string): quoted(string)
    case .ints(let numbers): "[\(numbers.map(String.init).joined(separator: ", "))]"
    }
  }

  private func type(_ type: TensorType) -> String {
    let extents = type.shape.dimensions.map(String.init).joined(separator: "x")
    var text = "\(type.element.rawValue)[\(extents)]"
    if type.layout != .nhwc { text += " \(type.layout.rawValue)" }
    if let quant = type.quant {
      text += " q("
      if let axis = quant.axis { text += "axis \(axis) " }
      text += quant.scales.map { "\($0)" }.joined(separator: " ")
      if quant.zeroPoints != [0] {
        text += ", " + quant.zeroPoints.map { "\($0)" }.joined(separator: " ")
      }
      text += ")"
    }
    return text
  }

  /// A name, in quotes unless it is a plain word.
  private func name(_ name: String) -> String {
    // Two slashes would begin a comment.
    let plain =
      !name.isEmpty && name.utf8.allSatisfy(GraphLexer.isWord) && !name.hasPrefix("/")
    return plain ? name : quoted(name)
  }

  private func quoted(_ string: String) -> String {
    var text = "\""
    for scalar in string.unicodeScalars {
      switch scalar {
      case "\"": text += "\\\""
      case "\\": text += "\\\\"
      case "\n": text += "\\n"
      case let other where other.value < 32 || other.value == 127:
        text += "\\u{\(String(other.value, radix: 16))}"
      default: text.unicodeScalars.append(scalar)
      }
    }
    return text + "\""
  }
}
