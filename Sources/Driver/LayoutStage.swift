import GraphIR
import Passes
import Quantize
import Support
import TargetModel

extension ModelPipeline {
  /// Brings a graph into canonical operations without data movement, and says what is left.
  ///
  /// With `strict`, throws `layout.survivor` for everything that is left; otherwise it is printed as a
  /// warning. Throws `certificate.*` when a pass claims what does not hold.
  func canonical(
    _ graph: Graph, recipe: QuantizationRecipe, target: Target, strict: Bool
  ) throws(DiagnosticError) -> (graph: Graph, report: LayoutReport) {
    let made = try graph.canonicalised(costs: Self.movementCosts(recipe, target))
    if strict { try made.report.requireNone() }
    if !quiet { Self.warn(made.report) }
    return made
  }

  /// What moving data costs on a target: activations of the recipe, in the memory of the arena.
  static func movementCosts(_ recipe: QuantizationRecipe, _ target: Target) -> LayoutReport.Costs {
    let rate = target.candidates(for: .arena).first?.readBandwidth
      .bytesPerCycle(at: target.npu.clock)
    return LayoutReport.Costs(
      elementBytes: recipe.activations.byteCount,
      bytesPerCycle: rate.flatMap { $0.isFinite && $0 < 1024 ? Int($0) : nil } ?? 8)
  }

  /// Prints what is left on standard error.
  static func warn(_ report: LayoutReport) {
    for survivor in report.survivors { Console.error("warning: \(survivor)") }
  }
}

extension LayoutReport {
  /// What a JSON report says.
  struct Summary: Encodable {
    let transposes: Int
    let copies: Int
    let removed: Int
    let norms: String?
    let survivors: [Entry]

    struct Entry: Encodable {
      let function: String
      let operation: String
      let site: String
      let reason: String
      let bytes: Int
      let cycles: Int
    }
  }

  /// The report for JSON.
  var json: Summary {
    Summary(
      transposes: transposes, copies: copies, removed: removed, norms: norms,
      survivors: survivors.map {
        Summary.Entry(
          function: $0.function, operation: $0.operation, site: $0.site, reason: $0.reason,
          bytes: $0.bytes, cycles: $0.cycles)
      })
  }
}
