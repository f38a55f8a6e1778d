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
    try quantize(graph, recipe: recipe, calibrationTokens: sequences) { _, _, _ in }.graph
  }

  /// As ``quantize(_:recipe:calibrationTokens:)``, saying how far it is.
  ///
  /// - Parameters:
  ///   - tuningTokens: other sequences to tune scales on, where the recipe does.
  ///   - progress: called with what is done, and how much of how much.
  /// - Returns: the integer graph, and what rounding made of the weights where the recipe has a
  ///   method for them.
  public static func quantize(
    _ graph: Graph, recipe: QuantizationRecipe, calibrationTokens sequences: [[Int32]],
    tuningTokens: [[Int32]] = [], progress: (_ stage: String, _ done: Int, _ of: Int) -> Void
  ) throws(DiagnosticError) -> (graph: Graph, report: WeightReport?) {
    let graph = try prepared(graph, for: recipe, watching: sequences)
    if let method = recipe.weights {
      let observed = try ObservedModel(
        graph, for: recipe, calibrationTokens: sequences, tuningTokens: tuningTokens,
        limit: method.curvatureTokens, progress: progress)
      let made = try quantize(observed, recipe: recipe, method: method, progress: progress)
      return (made.graph, made.report)
    }
    let calibration = try calibrate(graph, for: recipe, on: sequences, progress: progress)
    return (try quantize(graph, recipe: recipe, calibration: calibration), nil)
  }

  /// The float model as a recipe quantises it: rotated where it asks for that, and with outlier channels apart
  /// where there are some. It computes what `graph` does. Callers that calibrate or watch a model themselves do so
  /// with this.
  ///
  /// - Parameter sequences: tokens, each sequence from position 0; outliers are looked for on the first few hundred.
  public static func prepared(
    _ graph: Graph, for recipe: QuantizationRecipe, watching sequences: [[Int32]]
  ) throws(DiagnosticError) -> Graph {
    let graph =
      recipe.rotations.isEmpty ? graph : try ModelRotation(graph, recipe.rotations).rotated()
    guard recipe.separatesOutliers,
      let function = graph.function("score") ?? graph.function("decode")
    else { return graph }
    var left = outlierTokens
    let beginnings = sequences.map { sequence in
      let part = sequence.prefix(min(left, outlierTokens / 4))
      left -= part.count
      return Array(part)
    }
    let seen = try Calibrator(graph).observe(beginnings.filter { !$0.isEmpty })
    return try SeparatedOutliers.separated(OutlierChannels(function, calibration: seen), in: graph)
  }

  /// Tokens that outliers are looked for on: they show on the first of a text, and on few words.
  private static let outlierTokens = 512

  /// The ranges of a model's values on token sequences, and on text of its own when it is small.
  ///
  /// - Parameter recipe: 8-bit activations want more than is seen: what to make of it.
  public static func calibrate(
    _ graph: Graph, for recipe: QuantizationRecipe, on sequences: [[Int32]],
    progress: ObservedModel.Progress = { _, _, _ in }
  ) throws(DiagnosticError) -> Calibration {
    let calibrator = try Calibrator(graph)
    let own = try calibrator.generate(
      Calibrator.affordableTokens(parameters: calibrator.parameters), from: sequences)
    return try calibrator.calibration(sequences, own: own, for: recipe, progress: progress)
  }

  /// Quantises with ranges seen before.
  public static func quantize(
    _ graph: Graph, recipe: QuantizationRecipe, calibration: Calibration
  ) throws(DiagnosticError) -> Graph {
    try migrated(graph, recipe: recipe, calibration: calibration).graph
  }

  /// As above, with the rescalings that were chosen.
  static func migrated(
    _ graph: Graph, recipe: QuantizationRecipe, calibration: Calibration
  ) throws(DiagnosticError) -> (graph: Graph, migration: Migration) {
    let kept = try KeptWeights(graph, method: nil)
    let migration = Migration(graph, calibration: calibration, recipe: recipe, kept: kept)
    let scales = try ScalePlan(
      graph, recipe: recipe, calibration: calibration, migration: migration)
    var builder = IntegerGraphBuilder(
      graph, recipe: recipe, calibration: calibration, migration: migration, scales: scales,
      rounded: kept.rounded(rowFactors: migration.rowFactors))
    return (try builder.build(), migration)
  }
}
