import GraphIR
import Support

extension Quantizer {
  /// What errors in the weights of linear layers cost, seen on token sequences.
  ///
  /// - Parameters:
  ///   - sequences: tokens, each starting at position 0.
  ///   - limit: the most tokens run.
  public static func curvature(
    _ graph: Graph, _ sequences: [[Int32]], limit: Int
  ) throws(DiagnosticError) -> Curvature {
    try CurvatureCollector(graph).collect(sequences, limit: limit)
  }

  /// Quantises with a method for the weights.
  ///
  /// - Parameters:
  ///   - curvature: what errors in weights cost, of the same graph.
  ///   - text: tokens to tune scales on, where the method does.
  ///   - progress: called with what is done, and how much of how much.
  public static func quantize(
    _ graph: Graph, recipe: QuantizationRecipe, calibration: Calibration, curvature: Curvature,
    method: WeightMethod, text: [[Int32]] = [],
    progress: ObservedModel.Progress = { _, _, _ in }
  ) throws(DiagnosticError) -> (graph: Graph, report: WeightReport) {
    try quantize(
      RoundingBasis(
        graph, recipe: recipe, calibration: calibration, curvature: curvature, method: method,
        text: text), progress: progress)
  }

  /// Quantises once more from the same basis.
  ///
  /// - Parameter progress: called with what is done, and how much of how much.
  public static func quantize(
    _ basis: RoundingBasis, progress: ObservedModel.Progress = { _, _, _ in }
  ) throws(DiagnosticError) -> (graph: Graph, report: WeightReport) {
    let made = try migrated(basis, progress: progress)
    return (made.graph, made.report)
  }

  /// As above, with the rescalings that were chosen.
  static func migrated(
    _ basis: RoundingBasis, progress: ObservedModel.Progress
  ) throws(DiagnosticError) -> (graph: Graph, report: WeightReport, migration: Migration) {
    let solver = try basis.solver()
    let scales = try ScalePlan(
      basis.graph, recipe: basis.recipe, calibration: basis.calibration,
      migration: solver.migration)
    let (weights, report) = try solver.solve(compensator: compensator(basis)) {
      progress("rounding weights", $0, $1)
    }
    var builder = IntegerGraphBuilder(
      basis.graph, recipe: basis.recipe, calibration: basis.calibration,
      migration: solver.migration, scales: scales,
      rounded: try tuned(weights, solver, basis, progress))
    return (try builder.build(), report, solver.migration)
  }

  /// The float model with rounded weights in place of its own: what rounding costs by itself.
  public static func roundedFloat(
    _ basis: RoundingBasis
  ) throws(DiagnosticError) -> (graph: Graph, report: WeightReport) {
    let solver = try basis.solver()
    let (weights, report) = try solver.solve(compensator: compensator(basis)) { _, _ in }
    let tuned = try tuned(weights, solver, basis) { _, _, _ in }
    return (solver.restored(tuned), report)
  }

  /// What lets free layers move, where the method asks for it, there is text, and the model is small
  /// enough: weights and momenta take eight bytes for each.
  private static func compensator(
    _ basis: RoundingBasis
  ) throws(DiagnosticError) -> WeightCompensator? {
    let (graph, method) = (basis.graph, basis.method)
    guard method.compensationSteps > 0, !basis.text.isEmpty,
      try weightCount(graph) <= WeightCompensator.mostWeights
    else { return nil }
    return try WeightCompensator(
      graph, basis.text, steps: method.compensationSteps, rate: method.compensationRate)
  }

  /// Rounded weights with tuned steps, where the method asks for it and there is text.
  private static func tuned(
    _ weights: [ConstantID: WeightQuantizer.Result], _ solver: WeightSolver,
    _ basis: RoundingBasis, _ progress: ObservedModel.Progress
  ) throws(DiagnosticError) -> [ConstantID: WeightQuantizer.Result] {
    let steps = basis.method.tuningSteps
    guard steps > 0, !basis.text.isEmpty else { return weights }
    var tuner = try ScaleTuner(solver, weights)
    return try tuner.tune(basis.text, steps: steps) { progress("tuning scales", $0, $1) }
  }
}
