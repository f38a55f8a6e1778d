import GraphIR
import Reference
import Support
import TensorCore

/// Anything that reads tokens and says what it expects next.
public protocol LogitModel {
  /// The most tokens one call takes.
  var batch: Int { get }
  /// How many logits a token gives.
  var vocabulary: Int { get }
  /// The most positions a sequence has.
  var context: Int { get }
  /// Forgets what was read.
  mutating func restart()
  /// Reads tokens at the given position; returns `[ids.count, vocabulary]` logits.
  mutating func logits(_ ids: [Int32], at position: Int) throws(DiagnosticError) -> [Float]
}

/// The float interpreter as a model of text.
public struct FloatLogitModel: LogitModel, Sendable {
  private let interpreter: FloatInterpreter
  private let function: ScoredFunction
  private var state: FloatState

  /// The model of a float graph.
  public init(_ graph: Graph) throws(DiagnosticError) {
    function = try ScoredFunction(graph)
    interpreter = try FloatInterpreter(graph, functions: [function.name])
    state = interpreter.makeState()
  }

  public var batch: Int { function.batch }
  public var vocabulary: Int { function.vocabulary }
  public var context: Int { function.context }
  public mutating func restart() { state = interpreter.makeState() }

  public mutating func logits(
    _ ids: [Int32], at position: Int
  ) throws(DiagnosticError) -> [Float] {
    try interpreter.run(function.name, ids: ids, position: position, state: &state)
  }
}

/// The integer interpreter as a model of text.
public struct IntegerLogitModel: LogitModel, Sendable {
  private let interpreter: IntegerInterpreter
  private let function: ScoredFunction
  private var state: IntegerState

  /// The model of an integer graph.
  public init(_ graph: Graph) throws(DiagnosticError) {
    function = try ScoredFunction(graph)
    interpreter = try IntegerInterpreter(graph, functions: [function.name])
    state = interpreter.makeState()
  }

  public var batch: Int { function.batch }
  public var vocabulary: Int { function.vocabulary }
  public var context: Int { function.context }
  public mutating func restart() { state = interpreter.makeState() }

  public mutating func logits(
    _ ids: [Int32], at position: Int
  ) throws(DiagnosticError) -> [Float] {
    try interpreter.run(function.name, ids: ids, position: position, state: &state)?
      .reals(scale: function.scale) ?? []
  }
}

/// The function of a graph that gives logits for every token.
struct ScoredFunction: Sendable {
  let name: String
  let batch: Int
  let vocabulary: Int
  let context: Int
  let scale: Float

  init(_ graph: Graph) throws(DiagnosticError) {
    guard let function = graph.function("score") ?? graph.function("decode"),
      let result = function.results.first, let ids = function.inputs.first
    else {
      throw DiagnosticError(
        "quantize.function", "the graph has neither 'score' nor 'decode' with a result")
    }
    name = function.name
    batch = function[ids].type.shape.count
    vocabulary = function[result].type.shape.dimensions.last ?? 1
    context = graph.states.map { $0.type.shape[1] }.min() ?? Int.max
    scale = function[result].type.quant?.scales.first ?? 1
  }
}
