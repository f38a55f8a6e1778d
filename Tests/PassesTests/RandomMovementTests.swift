import GraphIR
import Reference
import Support
import TensorCore
import TestKit
import Testing

@testable import Passes

/// Random functions of movement and arithmetic mean the same after the passes, and have no more transposes.
@Suite struct RandomMovementTests {
  /// A function of a few operations on the rows of a table, and its graph.
  static func graph(_ random: inout SplitMix64) -> Graph {
    var graph = Graph(name: "random")
    let rows = [2, 3, 4].randomElement(using: &random) ?? 2
    let width = [4, 6, 8].randomElement(using: &random) ?? 4
    let table = graph.addConstant(
      Constant(
        name: "table", type: TensorType([8, width], .float32),
        data: ConstantData(floats: (0..<8 * width).map { _ in Float(random.normal()) })))
    var function = Function(name: "f")
    let ids = function.addInput(TensorType([rows], .int32))
    _ = function.addInput(TensorType([], .int32))
    var values = [
      function.append(
        .embedding, [.value(ids), .constant(table)], type: TensorType([rows, width], .float32),
        provenance: Provenance("table"))
    ]
    for step in 0..<Int.random(in: 1...12, using: &random) {
      let x = values.suffix(3).randomElement(using: &random) ?? values[0]
      let shape = function[x].type.shape.dimensions
      func emit(
        _ code: OpCode, _ operands: [ValueID], _ extents: [Int],
        _ attributes: [String: Attribute] = [:]
      ) {
        guard extents.reduce(1, *) <= 512 else { return }
        values.append(
          function.append(
            code, operands.map { .value($0) }, type: TensorType(Shape(extents), .float32),
            attributes: attributes, provenance: Provenance("step \(step)")))
      }
      let axis = shape.indices.randomElement(using: &random) ?? 0
      switch Int.random(in: 0..<10, using: &random) {
      case 0, 1: emit(.reshape, [x], IndexMapTests.regrouped(shape.reduce(1, *), &random))
      case 2, 3, 4:
        let order = shape.indices.shuffled(using: &random)
        emit(.transpose, [x], order.map { shape[$0] }, ["permutation": .ints(order)])
      case 5 where !shape.isEmpty:
        let step = Int.random(in: 1...2, using: &random)
        let start = Int.random(in: 0..<shape[axis], using: &random)
        var cut = shape
        cut[axis] = (shape[axis] - start - 1) / step + 1
        emit(
          .slice, [x], cut, ["axis": .int(axis), "start": .int(start), "step": .int(step)])
      case 6 where shape.contains(1):
        emit(.expand, [x], shape.map { $0 == 1 ? 2 : $0 })
      case 7 where !shape.isEmpty:
        let other = values.last { function[$0].type.shape.dimensions == shape } ?? x
        var joined = shape
        joined[axis] *= 2
        emit(.concat, [x, other], joined, ["axis": .int(axis)])
      case 8:
        let other = values.last { function[$0].type.shape.dimensions == shape } ?? x
        emit(.mul, [x, other], shape)
      default: emit(.negate, [x], shape)
      }
    }
    function.results = [values[values.count - 1]]
    graph.functions = [function]
    return graph
  }

  @Test func meaningStays() throws {
    var random = SplitMix64(seed: 11)
    var (removed, left) = (0, 0)
    for _ in 0..<1500 {
      let graph = Self.graph(&random)
      let (canonical, report) = try graph.canonicalised()
      let rows = graph.functions[0][graph.functions[0].inputs[0]].type.shape[0]
      let ids = (0..<Int32(rows)).map { $0 * 2 % 8 }
      func run(_ graph: Graph) throws -> [Float] {
        let interpreter = try FloatInterpreter(graph)
        var state = interpreter.makeState()
        return try interpreter.run("f", ids: ids, position: 0, state: &state)
      }
      #expect(try run(graph) == run(canonical), "\(GraphPrinter.print(graph))")
      let transposes = graph.functions[0].operations.count { $0.code == .transpose }
      #expect(report.transposes <= transposes, "\(GraphPrinter.print(graph))")
      removed += report.removed
      left += report.survivors.count
    }
    #expect(removed > 1000)
    #expect(left > 1000)
  }
}
