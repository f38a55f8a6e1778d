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
    integer = try Quantizer.quantize(graph, recipe: recipe, calibration: calibration)
    float = try Migration(graph, calibration: calibration, recipe: recipe).applied(to: graph)
    guard let function = graph.function("score") ?? graph.function("decode") else {
      throw DiagnosticError("quantize.function", "the graph has neither 'score' nor 'decode'")
    }
    self.function = function.name
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

  /// The reals that a quantised matrix stands for.
  func dequantised(_ id: ConstantID) throws(DiagnosticError) -> [Float] {
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
    return data.bytes.withBytes { raw in
      raw.enumerated().map { Float(Int8(bitPattern: $1)) * scales[$0 / columns] }
    }
  }
}
