import GraphIR
import Support

extension Quantizer {
  /// Quantises with a method for the weights.
  ///
  /// - Parameters:
  ///   - curvature: what errors in weights cost, of the same graph.
  ///   - progress: called with how many weights are done, of how many.
  public static func quantize(
    _ graph: Graph, recipe: QuantizationRecipe, calibration: Calibration, curvature: Curvature,
    method: WeightMethod, progress: (_ done: Int, _ of: Int) -> Void = { _, _ in }
  ) throws(DiagnosticError) -> (graph: Graph, report: WeightReport) {
    let migration = Migration(
      graph, calibration: calibration, recipe: recipe,
      columns: ColumnScaling(curvature, method: method))
    let scales = try ScalePlan(
      graph, recipe: recipe, calibration: calibration, migration: migration)
    let solver = try WeightSolver(
      graph, migration: migration, curvature: curvature, method: method)
    let (weights, report) = try solver.solve(progress: progress)
    var builder = IntegerGraphBuilder(
      graph, recipe: recipe, calibration: calibration, migration: migration, scales: scales,
      rounded: weights)
    return (try builder.build(), report)
  }
}
