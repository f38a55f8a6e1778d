import GraphIR
import Reference
import Support
import TensorCore

/// A quantisation whose parts can be switched on one by one, to find out what each of them costs.
///
/// Beside the integer graph stands a float graph with the same rescalings and nothing rounded. A model
/// that rounds some stages is this float graph with the integer graph's own numbers put in for these
/// stages: its weights, its tables, its scales.
public struct QuantizationStudy: Sendable {
  /// The rescaled float graph: equal to the original up to float rounding.
  public let float: Graph
  /// The integer graph: what `Quantizer` makes.
  public let integer: Graph
  /// The function that is run, `score` or `decode`.
  let function: String

  /// Quantises a graph as `Quantizer.quantize` does, and keeps what is needed to take it apart.
  public init(
    _ graph: Graph, recipe: QuantizationRecipe, calibration: Calibration
  ) throws(DiagnosticError) {
    let made = try Quantizer.migrated(graph, recipe: recipe, calibration: calibration)
    integer = made.graph
    float = try made.migration.applied(to: graph)
    function = try Self.scored(graph)
  }

  /// Quantises an observed model by a method for its weights, and keeps what is needed to take it
  /// apart.
  public init(
    _ observed: ObservedModel, recipe: QuantizationRecipe, method: WeightMethod,
    progress: ObservedModel.Progress
  ) throws(DiagnosticError) {
    let made = try Quantizer.migrated(
      RoundingBasis(observed, recipe: recipe, method: method), progress: progress)
    integer = made.graph
    float = try made.migration.applied(to: observed.graph)
    function = try Self.scored(observed.graph)
  }

  private static func scored(_ graph: Graph) throws(DiagnosticError) -> String {
    guard let function = graph.function("score") ?? graph.function("decode") else {
      throw DiagnosticError("quantize.function", "the graph has neither 'score' nor 'decode'")
    }
    return function.name
  }

  /// The two forms of the function that is run; their operations and values correspond by index.
  func functions() throws(DiagnosticError) -> (float: Function, integer: Function) {
    guard let one = float.function(function), let two = integer.function(function),
      one.operations.count == two.operations.count
    else {
      throw DiagnosticError("quantize.function", "the two forms of '\(function)' do not correspond")
    }
    return (one, two)
  }

  /// The model that rounds the given stages and computes everything else in floating point.
  public func model(
    rounding stages: Set<RoundingStage>
  ) throws(DiagnosticError) -> PartlyRoundedModel {
    try PartlyRoundedModel(self, rounding: stages)
  }

  /// The width of the heads whose channels an operation's result has in another order than the float
  /// graph: the integer form of what `rope` turns stores the first of all pairs before the second of
  /// all pairs. Nil where the order is the same.
  func turnedHead(_ index: Int, in function: Function) -> Int? {
    let operation = function.operations[index]
    if operation.code == .rope { return operation.int("head_dim") }
    guard operation.code == .linear, let result = operation.results.first else { return nil }
    return function.operations.first { $0.code == .rope && $0.operands.first == .value(result) }?
      .int("head_dim")
  }

  /// Entries of whole heads from the integer graph's order to the float graph's.
  ///
  /// - Parameters:
  ///   - values: `size` numbers for each channel.
  ///   - headDim: channels of a head; nil leaves the order as it is.
  static func paired<T>(_ values: [T], headDim: Int?, size: Int = 1) -> [T] {
    guard let headDim, headDim > 0, size > 0, values.count % (headDim * size) == 0 else {
      return values
    }
    let half = headDim / 2
    return (0..<values.count / size).flatMap { to -> ArraySlice<T> in
      let (head, channel) = (to / headDim, to % headDim)
      let from = (head * headDim + (channel % 2 == 0 ? channel / 2 : half + channel / 2)) * size
      return values[from..<from + size]
    }
  }

  /// The reals that the quantised matrix of an operation stands for, and each row's scale, in the float graph's order.
  func dequantised(
    _ id: ConstantID, of operation: GraphIR.Operation, headDim: Int?
  ) throws(DiagnosticError) -> (values: [Float], scales: [Float]) {
    let constant = integer[id]
    guard constant.type.shape.rank == 2, let scales = constant.type.quant?.scales,
      scales.count == constant.type.shape[0], let data = constant.data,
      data.bytes.count == constant.type.shape.count
    else {
      throw DiagnosticError(
        "quantize.operation", "is no int8 matrix with a scale for each row",
        at: SourceLocation(element: constant.name))
    }
    let columns = constant.type.shape[1]
    let factors = columnFactors(operation, count: columns)
    let values = data.bytes.withBytes { raw in
      raw.enumerated().map {
        Float(Int8(bitPattern: $1)) * scales[$0 / columns] * Float(factors?[$0 % columns] ?? 1)
      }
    }
    return (
      Self.paired(values, headDim: headDim, size: columns), Self.paired(scales, headDim: headDim)
    )
  }

  /// The factors of an embedding table's columns, where it has some.
  func columnFactors(_ operation: GraphIR.Operation, count: Int) -> [Int8]? {
    guard operation.code == .embedding, operation.operands.count > 3,
      case .constant(let id) = operation.operands[3]
    else { return nil }
    return integer[id].data?.integers(Int8.self, count: count)
  }
}
