import Support
import TensorCore

/// Reads the textual form of a graph (`.gir`). Constants come without data.
///
/// The parser checks syntax and that names exist; everything else is the verifier's business, so
/// that unsound graphs can be written down in tests. A value that is used but never defined becomes a
/// float32 scalar.
public struct GraphParser {
  private var lexer: GraphLexer
  private var token: GraphLexer.Token = .end
  private var graph = Graph(name: "")
  private var constants: [String: ConstantID] = [:]
  private var states: [String: StateID] = [:]
  /// How many more values may come into being: no sound text has more values than bytes.
  private var valuesLeft: Int

  /// Parses a graph; `file` is used in diagnostics. Throws `gir.syntax` with line and column.
  public static func parse(_ text: String, file: String? = nil) throws(DiagnosticError) -> Graph {
    var parser = GraphParser(text, file: file)
    try parser.parseGraph()
    return parser.graph
  }

  private init(_ text: String, file: String?) {
    lexer = GraphLexer(text, file: file)
    valuesLeft = text.utf8.count
  }

  // MARK: Tokens

  private func fail(_ message: String) -> DiagnosticError {
    DiagnosticError("gir.syntax", message, at: lexer.location)
  }

  private mutating func advance() throws(DiagnosticError) { token = try lexer.next() }

  private mutating func accept(_ symbol: Character) throws(DiagnosticError) -> Bool {
    guard token == .symbol(symbol) else { return false }
    try advance()
    return true
  }

  private mutating func expect(_ symbol: Character) throws(DiagnosticError) {
    guard try accept(symbol) else {
      throw fail("\"\(symbol)\" expected instead of \(token.description)")
    }
  }

  private mutating func acceptWord(_ word: String) throws(DiagnosticError) -> Bool {
    guard token == .word(word) else { return false }
    try advance()
    return true
  }

  private mutating func word(_ what: String) throws(DiagnosticError) -> String {
    guard case .word(let text) = token else {
      throw fail("\(what) expected instead of \(token.description)")
    }
    try advance()
    return text
  }

  private mutating func string(_ what: String) throws(DiagnosticError) -> String {
    guard case .string(let text) = token else {
      throw fail("\(what) in quotes expected instead of \(token.description)")
    }
    try advance()
    return text
  }

  private mutating func name() throws(DiagnosticError) -> String {
    if case .string(let text) = token {
      try advance()
      return text
    }
    return try word("a name")
  }

  private mutating func number<T>(
    _ what: String, _ convert: (String) -> T?
  ) throws(DiagnosticError) -> T {
    guard case .word(let text) = token, let value = convert(text) else {
      throw fail("\(what) expected instead of \(token.description)")
    }
    try advance()
    return value
  }

  // MARK: Grammar

  private mutating func parseGraph() throws(DiagnosticError) {
    try advance()
    guard try acceptWord("graph") else { throw fail("\"graph\" expected") }
    graph.name = try string("the graph's name")
    while token != .end {
      switch try word("meta, constant, state or function") {
      case "meta":
        let key = try string("a key")
        try expect("=")
        graph.metadata[key] = try string("a value")
      case "constant":
        try expect("@")
        let name = try name()
        try expect(":")
        let id = graph.addConstant(Constant(name: name, type: try type(), data: nil))
        if constants[name] == nil { constants[name] = id }
      case "state":
        try expect("$")
        let name = try name()
        try expect(":")
        let id = graph.addState(State(name: name, type: try type()))
        if states[name] == nil { states[name] = id }
      case "function": try parseFunction()
      default: throw fail("meta, constant, state or function expected")
      }
    }
  }

  private mutating func parseFunction() throws(DiagnosticError) {
    try expect("@")
    var function = Function(name: try name())
    try expect("(")
    if try !accept(")") {
      repeat {
        let id = try value(&function)
        try expect(":")
        function[id].type = try type()
        function.inputs.append(id)
      } while try accept(",")
      try expect(")")
    }
    try expect("{")
    while try !accept("}") {
      if try acceptWord("return") {
        if token == .symbol("%") {
          repeat { function.results.append(try value(&function)) } while try accept(",")
        }
        try expect("}")
        break
      }
      try parseOperation(&function)
    }
    graph.functions.append(function)
  }

  private mutating func parseOperation(_ function: inout Function) throws(DiagnosticError) {
    var results: [ValueID] = []
    if token == .symbol("%") {
      repeat { results.append(try value(&function)) } while try accept(",")
      try expect("=")
    }
    guard case .word(let text) = token, let code = OpCode(rawValue: text) else {
      throw fail("an operation expected instead of \(token.description)")
    }
    try advance()
    var operands: [Operand] = []
    if let first = try operand(&function) {
      operands.append(first)
      while try accept(",") {
        guard let next = try operand(&function) else { throw fail("an operand expected") }
        operands.append(next)
      }
    }
    var attributes: [String: Attribute] = [:]
    if try accept("{") {
      repeat {
        let key = try name()
        try expect("=")
        attributes[key] = try attribute()
      } while try accept(",")
      try expect("}")
    }
    if !results.isEmpty {
      try expect(":")
      for (index, id) in results.enumerated() {
        if index > 0 { try expect(",") }
        function[id].type = try type()
      }
    }
    guard try acceptWord("from") else { throw fail("\"from\" expected") }
    let provenance = Provenance(try string("the provenance"))
    function.operations.append(
      Operation(
        code, operands, results: results, attributes: attributes, provenance: provenance))
  }

  private mutating func operand(_ function: inout Function) throws(DiagnosticError) -> Operand? {
    switch token {
    case .symbol("%"): return .value(try value(&function))
    case .symbol("@"):
      try advance()
      let location = lexer.location
      let name = try name()
      guard let id = constants[name] else {
        throw DiagnosticError("gir.syntax", "there is no constant \(name)", at: location)
      }
      return .constant(id)
    case .symbol("$"):
      try advance()
      let location = lexer.location
      let name = try name()
      guard let id = states[name] else {
        throw DiagnosticError("gir.syntax", "there is no state \(name)", at: location)
      }
      return .state(id)
    default: return nil
    }
  }

  /// `%3`, which comes into being with its first mention.
  private mutating func value(_ function: inout Function) throws(DiagnosticError) -> ValueID {
    try expect("%")
    let index = try number("a value's number") { Int($0) }
    guard index >= 0, index - function.values.count < valuesLeft else {
      throw fail("value number \(index) is out of range")
    }
    while function.values.count <= index {
      _ = function.addValue(TensorType([], .float32))
      valuesLeft -= 1
    }
    return ValueID(index)
  }

  private mutating func attribute() throws(DiagnosticError) -> Attribute {
    if case .string(let text) = token {
      try advance()
      return .string(text)
    }
    if try accept("[") {
      var numbers: [Int] = []
      if try accept("]") { return .ints(numbers) }
      repeat { numbers.append(try number("an integer") { Int($0) }) } while try accept(",")
      try expect("]")
      return .ints(numbers)
    }
    return try number("a number, a string or a list") { text in
      Int(text).map { .int($0) } ?? Double(text).map { .float($0) }
    }
  }

  private mutating func type() throws(DiagnosticError) -> TensorType {
    let element = try number("an element type") { ElementType(rawValue: $0) }
    try expect("[")
    var extents: [Int] = []
    if token != .symbol("]") {
      let parts = try word("extents").split(separator: "x", omittingEmptySubsequences: false)
      for part in parts {
        guard let extent = Int(part) else { throw fail("extents such as 4x16 expected") }
        extents.append(extent)
      }
    }
    try expect("]")
    var type = TensorType(Shape(extents), element)
    if try acceptWord("nhcwb16") { type.layout = .nhcwb16 }
    if try acceptWord("q") { type.quant = try quant() }
    return type
  }

  private mutating func quant() throws(DiagnosticError) -> QuantParams {
    try expect("(")
    var axis: Int?
    if try acceptWord("axis") { axis = try number("an axis") { Int($0) } }
    var scales: [Float] = []
    var zeroPoints: [Int32] = []
    while case .word = token { scales.append(try number("a scale") { Float($0) }) }
    if try accept(",") {
      while case .word = token { zeroPoints.append(try number("a zero point") { Int32($0) }) }
    } else {
      zeroPoints = [0]
    }
    try expect(")")
    return QuantParams(scales: scales, zeroPoints: zeroPoints, axis: axis)
  }
}
