import Support
import TensorCore

/// A whole model: constants and states shared by its functions.
///
/// A graph is a value. Everything in it is addressed by typed IDs, so copying a graph copies arrays
/// and passes can rewrite their own copy.
public struct Graph: Sendable {
  /// The model's name, printed in the textual form.
  public var name: String
  /// Facts about the model that no operation needs (architecture, context…), by key.
  public var metadata: [String: String]
  /// Weights, tables and other numbers known at compile time.
  public var constants: [Constant]
  /// What survives from one run to the next: the KV cache.
  public var states: [State]
  /// The entry points, such as `prefill`, `decode` and `score`.
  public var functions: [Function]

  /// A graph without content.
  public init(name: String, metadata: [String: String] = [:]) {
    self.name = name
    self.metadata = metadata
    constants = []
    states = []
    functions = []
  }

  /// The constant with the given ID.
  public subscript(id: ConstantID) -> Constant {
    get { constants[id.index] }
    _modify { yield &constants[id.index] }
  }

  /// The state with the given ID.
  public subscript(id: StateID) -> State {
    get { states[id.index] }
    _modify { yield &states[id.index] }
  }

  /// The function called `name`, if there is one.
  public func function(_ name: String) -> Function? { functions.first { $0.name == name } }

  /// Adds a constant and returns its ID.
  public mutating func addConstant(_ constant: Constant) -> ConstantID {
    constants.append(constant)
    return ConstantID(constants.count - 1)
  }

  /// `name`, with primes behind it as long as another constant is called so.
  public func unusedName(_ name: String) -> String {
    let names = Set(constants.map(\.name))
    var unused = name
    while names.contains(unused) { unused += "'" }
    return unused
  }

  /// Adds a state and returns its ID.
  public mutating func addState(_ state: State) -> StateID {
    states.append(state)
    return StateID(states.count - 1)
  }

  /// The type of an operand of one of this graph's functions.
  public func type(of operand: Operand, in function: Function) -> TensorType {
    switch operand {
    case .value(let id): function[id].type
    case .constant(let id): self[id].type
    case .state(let id): self[id].type
    }
  }
}

/// The ID of a constant in its graph.
public typealias ConstantID = TypedID<Constant>
/// The ID of a state in its graph.
public typealias StateID = TypedID<State>
/// The ID of a value in its function.
public typealias ValueID = TypedID<Value>
/// The ID of an operation in its function.
public typealias OperationID = TypedID<Operation>

/// Numbers known at compile time.
public struct Constant: Sendable {
  /// The name, unique in the graph; for imported tensors the name in the user's file.
  public var name: String
  /// Shape, element type and quantisation. For block-quantised weights the element is `float32`:
  /// what the numbers mean, not how `data` encodes them.
  public var type: TensorType
  /// The numbers; nil in a graph that was parsed from text, which carries no payloads.
  public var data: ConstantData?

  /// A constant.
  public init(name: String, type: TensorType, data: ConstantData?) {
    self.name = name
    self.type = type
    self.data = data
  }

  /// The numbers of a float32 constant, row-major, dequantised where `data` is in blocks; nil for
  /// another type, without data, or when the bytes do not fit the shape.
  public var floats: [Float]? {
    guard type.element == .float32, let data, let count = type.shape.checkedCount,
      let bytes = data.encoding.byteCount(elements: count), bytes <= data.bytes.count
    else { return nil }
    return data.floats(count: count)
  }
}

/// A tensor that survives from one run to the next. Its first content is zero.
public struct State: Sendable, Hashable {
  /// The name, unique in the graph.
  public var name: String
  /// Shape, element and quantisation.
  public var type: TensorType

  /// A state.
  public init(name: String, type: TensorType) {
    self.name = name
    self.type = type
  }
}

/// One result of an operation or one input of a function.
public struct Value: Sendable, Hashable {
  /// The static type.
  public var type: TensorType

  /// A value of the given type.
  public init(type: TensorType) { self.type = type }
}

/// What an operation reads.
public enum Operand: Hashable, Sendable {
  case value(ValueID)
  case constant(ConstantID)
  case state(StateID)
}

/// Where in the user's model an operation comes from.
public struct Provenance: Hashable, Sendable {
  /// A tensor or operation of the source, such as `blk.3.attn_q.weight` or `blk.3.attention`.
  public var source: String

  /// A provenance. The name must not be empty: the verifier rejects operations without one.
  public init(_ source: String) { self.source = source }

  /// One name for several: the parts between dots that they begin and end with stand once, as in
  /// `blk.0.attn_q+attn_k.weight`.
  public static func joined(_ names: [String]) -> String {
    let parts = names.map { $0.split(separator: ".", omittingEmptySubsequences: false) }
    guard let first = parts.first, let shortest = parts.map(\.count).min() else { return "" }
    if Set(names).count == 1 { return names[0] }
    var start = 0
    while start < shortest - 1, parts.allSatisfy({ $0[start] == first[start] }) { start += 1 }
    var end = 0
    while start + end < shortest - 1,
      parts.allSatisfy({ $0[$0.count - 1 - end] == first[first.count - 1 - end] })
    {
      end += 1
    }
    let own: [String] = parts.map { $0[start..<$0.count - end].joined(separator: ".") }
    var pieces: [String] = first[..<start].map { String($0) }
    pieces.append(own.joined(separator: "+"))
    for piece in first[(first.count - end)...] { pieces.append(String(piece)) }
    return pieces.joined(separator: ".")
  }
}

/// An attribute of an operation.
public enum Attribute: Hashable, Sendable {
  case int(Int)
  case float(Double)
  case string(String)
  case ints([Int])
}

/// One operation: what it does, what it reads, what it makes.
public struct Operation: Sendable, Hashable {
  /// What it does.
  public var code: OpCode
  /// What it reads, in the order `code.definition` states.
  public var operands: [Operand]
  /// The values it defines.
  public var results: [ValueID]
  /// Numbers that select its behaviour, by name.
  public var attributes: [String: Attribute]
  /// Where it comes from.
  public var provenance: Provenance

  /// An operation.
  public init(
    _ code: OpCode, _ operands: [Operand], results: [ValueID],
    attributes: [String: Attribute] = [:],
    provenance: Provenance
  ) {
    self.code = code
    self.operands = operands
    self.results = results
    self.attributes = attributes
    self.provenance = provenance
  }

  /// An integer attribute; nil when it is absent or of another kind.
  public func int(_ name: String) -> Int? {
    if case .int(let value)? = attributes[name] { return value }
    return nil
  }

  /// An attribute that is a list of integers; nil when it is absent or of another kind.
  public func ints(_ name: String) -> [Int]? {
    if case .ints(let values)? = attributes[name] { return values }
    return nil
  }

  /// A real attribute (an integer counts); nil when it is absent or of another kind.
  public func float(_ name: String) -> Double? {
    switch attributes[name] {
    case .float(let value): return value
    case .int(let value): return Double(value)
    default: return nil
    }
  }
}

/// One entry point: operations in execution order, in SSA form.
public struct Function: Sendable, Hashable {
  /// The name, unique in the graph.
  public var name: String
  /// All values: inputs and results.
  public var values: [Value]
  /// The inputs, in calling order.
  public var inputs: [ValueID]
  /// The results, in order.
  public var results: [ValueID]
  /// The operations; each uses only what stands before it.
  public var operations: [Operation]

  /// A function without content.
  public init(name: String) {
    self.name = name
    values = []
    inputs = []
    results = []
    operations = []
  }

  /// The value with the given ID.
  public subscript(id: ValueID) -> Value {
    get { values[id.index] }
    _modify { yield &values[id.index] }
  }

  /// Adds a value of the given type.
  public mutating func addValue(_ type: TensorType) -> ValueID {
    values.append(Value(type: type))
    return ValueID(values.count - 1)
  }

  /// Adds an input of the given type.
  public mutating func addInput(_ type: TensorType) -> ValueID {
    let id = addValue(type)
    inputs.append(id)
    return id
  }

  /// Appends an operation with one result of the given type and returns that result.
  public mutating func append(
    _ code: OpCode, _ operands: [Operand], type: TensorType,
    attributes: [String: Attribute] = [:], provenance: Provenance
  ) -> ValueID {
    let result = addValue(type)
    operations.append(
      Operation(
        code, operands, results: [result], attributes: attributes, provenance: provenance))
    return result
  }
}
