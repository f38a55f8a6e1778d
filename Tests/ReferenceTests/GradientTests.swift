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
  @Test(arguments: [false, true])
  func layerNormsAndGELUHaveTheirGradients(_ isExact: Bool) throws {
    var model = RandomLlama()
    model.biasedThroughout = true
    model.layerNorm = .full
    model.gated = false
    model.exactGELU = isExact
    let graph = model.graph()
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

  /// What a linear layer reads and the gradient at its result give that at its weights.
  @Test func weightGradientsEqualDifferences() throws {
    var model = RandomLlama()
    model.seed = 3
    let graph = model.graph()
    let ids = (0..<8).map { Int32($0 * 11 % 64) }
    let function = try #require(graph.function("score"))
    var random = SplitMix64(seed: 4)
    let seed = (0..<8 * model.vocabulary).map { _ in Float(random.normal()) }
    let operations = function.operations.enumerated().filter { $0.element.code == .linear }
    var weights: [ConstantID: MovingWeights] = [:]
    var layers: [Int: (id: ConstantID, rows: Int, columns: Int)] = [:]
    for (index, operation) in operations {
      guard case .constant(let id) = operation.operands[1] else { continue }
      let shape = graph[id].type.shape
      weights[id] = MovingWeights(try #require(graph[id].data?.floats(count: shape.count)))
      layers[index] = (id, shape[0], shape[1])
    }
    let interpreter = try FloatInterpreter(graph, moving: weights)
    func loss() throws -> Double {
      var state = interpreter.makeState()
      let logits = try interpreter.run("score", ids: ids, position: 0, state: &state)
      return zip(logits, seed).reduce(0) { $0 + Double($1.0) * Double($1.1) }
    }
    var gradients: [Int: [Float]] = [:]
    let last = try #require(layers.keys.max())
    let first = try #require(layers.keys.filter { $0 > last / 2 }.min())
    try interpreter.backpropagate(
      "score", ids: ids, seed: { $0 = seed },
      linear: { index, x, dy, n in
        guard let (_, rows, columns) = layers[index] else { return }
        var gradient = [Float](repeating: 0, count: rows * columns)
        FloatProducts.addWeightGradient(x, dy, n: n, k: columns, m: rows, into: &gradient)
        gradients[index] = gradient
      }, downTo: first)
    #expect(gradients.keys.min() == first)
    for (index, gradient) in gradients {
      let (id, rows, columns) = try #require(layers[index])
      let moving = try #require(weights[id])
      for at in [0, rows * columns / 2 + 1, rows * columns - 1] {
        let old = moving.base[at]
        let step: Float = 1 / 64
        moving.base[at] = old + step
        let up = try loss()
        moving.base[at] = old - step
        let down = try loss()
        moving.base[at] = old
        let found = (up - down) / Double(2 * step)
        #expect(abs(found - Double(gradient[at])) < 0.02 * max(abs(found), 1), "\(index) \(at)")
      }
    }
    #expect(gradients.count >= 4)
  }

  /// The last layer alone gives what the whole function gives.
  @Test func lastLayersGiveResults() throws {
    let graph = RandomLlama().graph()
    let interpreter = try FloatInterpreter(graph)
    let function = try #require(graph.function("score"))
    let last = try #require(function.operations.last)
    guard case .value(let read) = last.operands[0] else { return }
    var numbers: [Float] = []
    var state = interpreter.makeState()
    let whole = try interpreter.run(
      "score", ids: [1, 2, 3], position: 0, state: &state,
      observer: { _, value, seen, _ in if value == read { numbers = Array(seen) } })
    #expect(interpreter.result("score", ofLast: numbers) == whole)
    #expect(interpreter.result("score", ofLast: [1]) == nil)
  }
}
