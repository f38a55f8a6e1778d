import GraphIR

/// Exact rescalings of channels between neighbouring operations, chosen to make ranges even.
struct Migration {
  /// Factors of a weight constant's rows (output channels).
  var rowFactors: [ConstantID: [Float]] = [:]
  /// Factors of a weight constant's columns (input channels).
  var columnFactors: [ConstantID: [Float]] = [:]
  /// Factors of a norm's gamma.
  var gammaFactors: [ConstantID: [Float]] = [:]
  /// Factors of the channels of the values that sites define.
  var siteFactors: [Site: [Float]] = [:]

  /// No rescaling.
  init() {}

  /// The rescalings for a graph.
  init(_ graph: Graph, calibration: Calibration, recipe: QuantizationRecipe) {}
}
