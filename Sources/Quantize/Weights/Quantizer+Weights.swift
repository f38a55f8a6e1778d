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
    let made = try migrated(
      graph, recipe: recipe, calibration: calibration, curvature: curvature, method: method,
      text: text, progress: progress)
    return (made.graph, made.report)
  }

  /// As above, with the rescalings that were chosen.
  static func migrated(
    _ graph: Graph, recipe: QuantizationRecipe, calibration: Calibration, curvature: Curvature,
    method: WeightMethod, text: [[Int32]] = [], progress: ObservedModel.Progress
  ) throws(DiagnosticError) -> (graph: Graph, report: WeightReport, migration: Migration) {
    let solver = try settled(
      method, graph, recipe: recipe, calibration: calibration, curvature: curvature)
    let scales = try ScalePlan(
      graph, recipe: recipe, calibration: calibration, migration: solver.migration)
    let (weights, report) = try solver.solve(compensator: compensator(graph, method, text)) {
      progress("rounding weights", $0, $1)
    }
    var builder = IntegerGraphBuilder(
      graph, recipe: recipe, calibration: calibration, migration: solver.migration,
      scales: scales, rounded: try tuned(weights, solver, method, text, progress))
    return (try builder.build(), report, solver.migration)
  }

  /// The float model with rounded weights in place of its own: what rounding costs by itself.
  public static func roundedFloat(
    _ graph: Graph, recipe: QuantizationRecipe, calibration: Calibration, curvature: Curvature,
    method: WeightMethod, text: [[Int32]] = []
  ) throws(DiagnosticError) -> (graph: Graph, report: WeightReport) {
    let solver = try settled(
      method, graph, recipe: recipe, calibration: calibration, curvature: curvature)
    let (weights, report) = try solver.solve(compensator: compensator(graph, method, text)) {
      _, _ in
    }
    let tuned = try tuned(weights, solver, method, text) { _, _, _ in }
    return (solver.restored(tuned), report)
  }

  /// What lets free layers move, where the method asks for it, there is text, and the model is small
  /// enough: weights and momenta take eight bytes for each.
  static func compensator(
    _ graph: Graph, _ method: WeightMethod, _ text: [[Int32]]
  ) throws(DiagnosticError) -> WeightCompensator? {
    guard method.compensationSteps > 0, !text.isEmpty,
      try LinearLayer.all(in: graph).reduce(0, { $0 + $1.rows * $1.columns })
        <= WeightCompensator.mostWeights
    else { return nil }
    return try WeightCompensator(
      graph, text, steps: method.compensationSteps, rate: method.compensationRate)
  }

  /// Rounded weights with tuned steps, where the method asks for it and there is text.
  private static func tuned(
    _ weights: [ConstantID: WeightQuantizer.Result], _ solver: WeightSolver,
    _ method: WeightMethod, _ text: [[Int32]], _ progress: ObservedModel.Progress
  ) throws(DiagnosticError) -> [ConstantID: WeightQuantizer.Result] {
    guard method.tuningSteps > 0, !text.isEmpty else { return weights }
    var tuner = try ScaleTuner(solver, weights)
    return try tuner.tune(text, steps: method.tuningSteps) { progress("tuning scales", $0, $1) }
  }

  /// A solver for a method.
  static func solver(
    _ graph: Graph, recipe: QuantizationRecipe, calibration: Calibration, curvature: Curvature,
    factors: CurvatureFactors, kept: KeptWeights, method: WeightMethod
  ) throws(DiagnosticError) -> WeightSolver {
    let migration = Migration(
      graph, calibration: calibration, recipe: recipe,
      columns: ColumnScaling(factors, method: method), kept: kept)
    return try WeightSolver(
      graph, migration: migration, curvature: curvature, factors: factors, method: method)
  }

  /// A solver for a method whose power of column scaling is the one that is expected to lose least at
  /// the bits it asks for, judged on a part of the rows (the search of AWQ).
  private static func settled(
    _ method: WeightMethod, _ graph: Graph, recipe: QuantizationRecipe, calibration: Calibration,
    curvature: Curvature
  ) throws(DiagnosticError) -> WeightSolver {
    let kept = try KeptWeights(graph, method: method)
    let factors = try CurvatureFactors(
      graph, curvature,
      migration: Migration(graph, calibration: calibration, recipe: recipe, kept: kept),
      method: method)
    func solver(_ method: WeightMethod) throws(DiagnosticError) -> WeightSolver {
      try self.solver(
        graph, recipe: recipe, calibration: calibration, curvature: curvature, factors: factors,
        kept: kept, method: method)
    }
    guard method.searchesPower, recipe.activations != .int8,
      case .bitsPerWeight(let bits) = method.grid
    else { return try solver(method) }
    var best: WeightSolver?
    var least = Double.infinity
    for power: Float in [0.5, 0.25, 0, 0.75] {
      var candidate = method
      candidate.columnPower = power
      let solver = try solver(candidate)
      let step = try solver.search(bitsPerWeight: bits)
      let expected = try solver.sampled(lossStep: step).expectedDivergence
      if expected < least {
        least = expected
        best = solver
      }
    }
    if let best { return best }
    return try solver(method)
  }
}
