import GraphIR
import Reference
import Support
import TensorCore

/// Makes the integer form of a float graph (`Docs/Numerics.md`).
public enum Quantizer {
  /// Calibrates on token sequences and quantises. A small model's own text is added to them.
  ///
  /// - Parameters:
  ///   - graph: a float graph with `score` or `decode`.
  ///   - recipe: the widths.
  ///   - sequences: tokens to calibrate with, each starting at position 0.
  /// - Returns: the integer graph: the same functions, values and states with integer types.
  public static func quantize(
    _ graph: Graph, recipe: QuantizationRecipe, calibrationTokens sequences: [[Int32]]
  ) throws(DiagnosticError) -> Graph {
    let calibrator = try Calibrator(graph)
    let own = try calibrator.generate(
      Calibrator.affordableTokens(parameters: calibrator.parameters), from: sequences)
    let calibration = try calibrator.observe(sequences + own + Calibrator.coldStarts(of: sequences))
    return try quantize(graph, recipe: recipe, calibration: calibration)
  }

  /// Quantises with ranges seen before.
  public static func quantize(
    _ graph: Graph, recipe: QuantizationRecipe, calibration: Calibration
  ) throws(DiagnosticError) -> Graph {
    let migration = Migration(graph, calibration: calibration, recipe: recipe)
    let scales = try ScalePlan(
      graph, recipe: recipe, calibration: calibration, migration: migration)
    var builder = IntegerGraphBuilder(
      graph, recipe: recipe, calibration: calibration, migration: migration, scales: scales)
    return try builder.build()
  }
}
