import GraphIR
import Support

/// What rounding a model's weights starts from, however often it is tried: the factors of what errors
/// cost, and how columns are scaled.
///
/// Factors hold all that rounding asks of a ``Curvature``, in less memory; who keeps a basis need not
/// keep an ``ObservedModel``.
public struct RoundingBasis: Sendable {
  /// How weights are rounded. Attempts may change the grid and the numbers of steps, nothing else: the
  /// rest is what the basis was made for.
  public var method: WeightMethod

  let graph: Graph
  let recipe: QuantizationRecipe
  let calibration: Calibration
  /// Tokens to tune and compensate on.
  let text: [[Int32]]
  private let sensitivities: [Site: [Float]]
  private let factors: CurvatureFactors
  /// Weights that arrive on a grid of their own.
  private let kept: KeptWeights

  /// The basis of a method. A power of column scaling that is to be searched is the one that is expected
  /// to lose least at the bits the grid names, judged on a part of the rows (the search of AWQ).
  ///
  /// - Parameters:
  ///   - curvature: what errors in weights cost, of the same graph.
  ///   - text: tokens to tune scales on and to compensate on, where the method does.
  public init(
    _ graph: Graph, recipe: QuantizationRecipe, calibration: Calibration, curvature: Curvature,
    method: WeightMethod, text: [[Int32]] = []
  ) throws(DiagnosticError) {
    self.graph = graph
    self.recipe = recipe
    self.calibration = calibration
    self.text = text
    self.method = method
    sensitivities = curvature.sensitivities
    kept = try KeptWeights(graph, method: method)
    factors = try CurvatureFactors(
      graph, curvature,
      migration: Migration(graph, calibration: calibration, recipe: recipe, kept: kept),
      method: method)
    guard method.searchesPower, recipe.activations != .int8,
      case .bitsPerWeight(let bits) = method.grid
    else { return }
    var best = method.columnPower
    var least = Double.infinity
    for power: Float in [0.5, 0.25, 0, 0.75] {
      self.method.columnPower = power
      let solver = try solver()
      let step = try solver.search(bitsPerWeight: bits)
      let expected = try solver.sampled(lossStep: step).expectedDivergence
      if expected < least {
        least = expected
        best = power
      }
    }
    self.method.columnPower = best
  }

  /// The basis of an observed model.
  public init(
    _ observed: ObservedModel, recipe: QuantizationRecipe, method: WeightMethod
  ) throws(DiagnosticError) {
    try self.init(
      observed.graph, recipe: recipe, calibration: observed.calibration,
      curvature: observed.curvature, method: method, text: observed.text)
  }

  /// What rounds the weights.
  func solver() throws(DiagnosticError) -> WeightSolver {
    let migration = Migration(
      graph, calibration: calibration, recipe: recipe,
      columns: ColumnScaling(factors, method: method), kept: kept)
    return try WeightSolver(
      graph, migration: migration, sensitivities: sensitivities, factors: factors, method: method)
  }
}
