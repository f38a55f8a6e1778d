import GraphIR
import Support
import TestKit
import Testing

@testable import Driver

/// The pipeline holds graphs to the rules and names operation, rule and stage.
@Test func brokenGraphsAreStopped() throws {
  var graph = RandomLlama().graph()
  try ModelPipeline.verify(graph, after: "importing")
  let index = try #require(
    graph.functions[0].operations.firstIndex { $0.code == .attention })
  graph.functions[0].operations[index].attributes["heads"] = .int(3)
  do {
    try ModelPipeline.verify(graph, after: "importing")
    Issue.record("three heads were accepted")
  } catch {
    let first = error.diagnostics[0]
    #expect(first.code.hasPrefix("verify."))
    #expect(first.location?.element?.contains("operation \(index) (attention)") == true)
    #expect(first.notes.contains { $0.contains("after importing") })
  }
}
