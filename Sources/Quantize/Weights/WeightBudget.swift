import Foundation
import GraphIR
import Support

/// A point that can be chosen: what it costs and what it loses.
public struct WeightChoice: Sendable {
  /// What it is called: a recipe's weights, or `step` for one of the solver's own.
  public var name: String
  /// Mean bits of a weight in the stream.
  public var bitsPerWeight: Double
  /// Nats of divergence per token that the errors in weights are expected to cost.
  public var expectedDivergence: Double
}

extension Quantizer {
  /// Quantises an observed model.
  public static func quantize(
    _ observed: ObservedModel, recipe: QuantizationRecipe, method: WeightMethod,
    progress: ObservedModel.Progress
  ) throws(DiagnosticError) -> (graph: Graph, report: WeightReport) {
    try quantize(
      observed.graph, recipe: recipe, calibration: observed.calibration,
      curvature: observed.curvature, method: method, text: observed.text, progress: progress)
  }

  /// The choices from about two bits a weight to eight, each from a part of the rows, and the
  /// presets' beside them.
  public static func choices(
    _ observed: ObservedModel, recipe: QuantizationRecipe, progress: ObservedModel.Progress
  ) throws(DiagnosticError) -> [WeightChoice] {
    var result: [WeightChoice] = []
    let presets: [(String, WeightMethod)] = [("w8", .eightBit), ("w4", .fourBit)]
    for (index, (name, method)) in presets.enumerated() {
      let solver = try solver(observed, recipe: recipe, method: method)
      let report = try solver.sampled(lossStep: nil)
      result.append(
        WeightChoice(
          name: name, bitsPerWeight: report.bitsPerWeight,
          expectedDivergence: report.expectedDivergence))
      progress("weighing choices", index, 12)
    }
    let solver = try solver(observed, recipe: recipe, method: .stream(bitsPerWeight: 4))
    // A step four times as dear saves a bit.
    let middle = try solver.search(bitsPerWeight: 4)
    for half in -4...4 {
      let report = try solver.sampled(lossStep: middle * exp2(Double(half)))
      result.append(
        WeightChoice(
          name: "step", bitsPerWeight: report.bitsPerWeight,
          expectedDivergence: report.expectedDivergence))
      progress("weighing choices", half + 7, 12)
    }
    return result.sorted { $0.bitsPerWeight < $1.bitsPerWeight }
  }

  private static func solver(
    _ observed: ObservedModel, recipe: QuantizationRecipe, method: WeightMethod
  ) throws(DiagnosticError) -> WeightSolver {
    let kept = try KeptWeights(observed.graph, method: method)
    let migration = Migration(
      observed.graph, calibration: observed.calibration, recipe: recipe, kept: kept)
    return try solver(
      observed.graph, recipe: recipe, calibration: observed.calibration,
      curvature: observed.curvature,
      factors: try CurvatureFactors(
        observed.graph, observed.curvature, migration: migration, method: method),
      kept: kept, method: method)
  }

  /// Quantises within a bound on the divergence, with as few bits as a few tries find.
  ///
  /// - Parameter bound: nats per token, measured on ``ObservedModel/heldOut``.
  /// - Returns: the graph, its weights, and the divergence measured.
  public static func quantize(
    _ observed: ObservedModel, recipe: QuantizationRecipe, divergence bound: Double,
    progress: ObservedModel.Progress
  ) throws(DiagnosticError) -> (graph: Graph, report: WeightReport, divergence: Double) {
    func judge(_ method: WeightMethod) throws(DiagnosticError) -> (Graph, WeightReport, Double) {
      let made = try quantize(observed, recipe: recipe, method: method, progress: progress)
      var float = try FloatLogitModel(observed.graph)
      var integer = try IntegerLogitModel(made.graph)
      let result = try Evaluation.compare(
        reference: &float, model: &integer, observed.heldOut)
      return (made.graph, made.report, result.meanDivergence)
    }
    var (low, high) = (-60.0, 10.0)
    // The first guess expects all of the bound to come from weights.
    var method = WeightMethod.stream(bitsPerWeight: 4)
    let prober = try solver(observed, recipe: recipe, method: method)
    var at = -20.0
    for _ in 0..<8 {
      let expected = try prober.sampled(lossStep: exp2(at)).expectedDivergence
      at += log2(bound / max(expected, 1e-12))
    }
    var best: (graph: Graph, report: WeightReport, divergence: Double)?
    var least = Double.infinity
    for _ in 0..<5 {
      method.grid = .lossStep(exp2(at))
      let (graph, report, found) = try judge(method)
      least = min(least, found)
      if found <= bound {
        if best.map({ report.bitsPerWeight < $0.report.bitsPerWeight }) ?? true {
          best = (graph, report, found)
        }
        low = at
        if found > 0.9 * bound || report.bitsPerWeight < 1.2 { break }
      } else {
        high = at
      }
      // Aimed a little inside the bound.
      let next = at + log2(0.95 * bound / max(found, 1e-12))
      at = next > low && next < high ? next : (max(low, at - 4) + min(high, at + 4)) / 2
    }
    if best == nil {
      let (graph, report, found) = try judge(.eightBit)
      least = min(least, found)
      if found <= bound { best = (graph, report, found) }
    }
    guard let best else {
      throw DiagnosticError(
        "quantize.divergence",
        "no weights of eight bits or fewer stay below a divergence of \(bound): "
          + "the least measured is \(least)",
        wayOut: "a larger bound, or 16-bit activations")
    }
    return best
  }
}
