import GraphIR
import Reference
import Support
import TestKit
import Testing

/// Gradients of the float interpreter against differences.
@Suite struct GradientTests {
  /// A step in a bias moves a layer's result, and the loss, as its gradient says.
  @Test(arguments: [UInt64(1), 5])
  func gradientsEqualDifferences(_ seed: UInt64) throws {
    var model = RandomLlama()
    model.biased = true
    model.seed = seed
    try expectDifferences(model.graph(), model)
  }

  /// The same through layer norms and GELU in both forms.
  @Test(arguments: [0, 1])
  func layerNormsAndGELUHaveTheirGradients(_ exact: Int) throws {
    var model = RandomLlama()
    model.biasedThroughout = true
    model.layerNorm = .full
    model.gated = false
    var graph = model.graph()
    for index in graph.functions.indices {
      for place in graph.functions[index].operations.indices
      where graph.functions[index].operations[place].code == .gelu {
        graph.functions[index].operations[place].attributes["exact"] = .int(exact)
      }
    }
    try Verifier.verify(graph)
    try expectDifferences(graph, model)
  }

  func expectDifferences(_ graph: Graph, _ model: RandomLlama) throws {
    let ids = (0..<8).map { Int32($0 * 13 % 64) }
    let function = try #require(graph.function("score"))
    // The loss is an inner product with fixed numbers.
    var random = SplitMix64(seed: 9)
    let weights = (0..<8 * model.vocabulary).map { _ in Float(random.normal()) }
    func loss(_ graph: Graph) throws -> Double {
      let interpreter = try FloatInterpreter(graph)
      var state = interpreter.makeState()
      let logits = try interpreter.run("score", ids: ids, position: 0, state: &state)
      return zip(logits, weights).reduce(0) { $0 + Double($1.0) * Double($1.1) }
    }
    var gradients: [Int: [Float]] = [:]
    try FloatInterpreter(graph).backpropagate(
      "score", ids: ids, seed: { $0 = weights },
      observer: { index, _, _, gradient, _ in gradients[index] = Array(gradient) })
    var checked = 0
    for (index, operation) in function.operations.enumerated()
    where operation.code == .linear && operation.operands.count > 2 {
      guard case .constant(let bias) = operation.operands[2] else { continue }
      let count = graph[bias].type.shape.count
      let values = try #require(graph[bias].data?.floats(count: count))
      let gradient = try #require(gradients[index])
      for channel in [0, count / 2, count - 1] {
        // The bias is added to every token.
        let expected = (0..<8).reduce(0.0) { $0 + Double(gradient[$1 * count + channel]) }
        func moved(_ by: Float) -> Graph {
          var copy = graph
          var changed = values
          changed[channel] += by
          copy[bias].data = .init(floats: changed)
          return copy
        }
        let step: Float = 1 / 64
        let found = (try loss(moved(step)) - loss(moved(-step))) / Double(2 * step)
        #expect(abs(found - expected) < 0.02 * max(abs(expected), 1), "\(operation) \(channel)")
        checked += 1
      }
    }
    #expect(checked >= 12)
    #expect(gradients.count == function.operations.filter { !$0.results.isEmpty }.count)
  }
}
