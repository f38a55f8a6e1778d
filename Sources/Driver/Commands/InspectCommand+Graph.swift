import GraphIR
import Passes
import Support

extension InspectCommand {
  private struct GraphReport: Encodable {
    let graph: String
    let passes: [Pass]
    let layout: LayoutReport.Summary

    struct Pass: Encodable {
      let name: String
      let removed: Int
      let added: Int
      let certificates: Int
    }
  }

  /// Runs the passes on a graph in its textual form and prints what they did and what is left.
  func inspectGraph() throws {
    let graph = try GraphParser.parse(try TextFile.read(model), file: model)
    let (canonical, report) = try graph.canonicalised()
    if strictLayout { try report.requireNone() }
    if json {
      try Console.json(
        GraphReport(
          graph: GraphPrinter.print(canonical),
          passes: report.stages.map {
            GraphReport.Pass(
              name: $0.info.name, removed: $0.removed, added: $0.added,
              certificates: $0.certificates)
          }, layout: report.json))
      return
    }
    print(GraphPrinter.print(canonical))
    for stage in report.stages { print("// \(stage)") }
    print("// layout: \(report.summary)")
    for survivor in report.survivors { print("// \(survivor)") }
  }
}
