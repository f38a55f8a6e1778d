import GraphIR
import Support
import TensorCore
import TestKit
import Testing

@testable import Passes

/// What no pass removes is named, with its reason and its costs.
@Suite struct SurvivorTests {
  static func broken(_ change: (inout NaiveLlama) -> Void) -> Graph {
    var model = RandomLlama()
    // As many heads as rows, so that a wrong order still has the right shape.
    (model.heads, model.kvHeads, model.batch, model.layers) = (4, 4, 4, 1)
    var naive = NaiveLlama(model)
    change(&naive)
    var graph = naive.graph()
    graph.functions.removeAll { $0.name != "score" }
    return graph
  }

  @Test func aWrongPermutationSurvives() throws {
    let graph = Self.broken { $0.headsFirst = [0, 1, 2, 3] }
    let (_, report) = try graph.canonicalised()
    #expect(report.survivors.contains { $0.operation == "transpose" })
    #expect(report.survivors.contains { $0.reason.contains("come in the order") })
    #expect(report.survivors.allSatisfy { $0.bytes > 0 && $0.cycles > 0 && !$0.reason.isEmpty })
    do throws(DiagnosticError) {
      try report.requireNone()
      Issue.record("strict layout accepts transposes")
    } catch {
      #expect(error.diagnostics.count == report.survivors.count)
      #expect(error.diagnostics.allSatisfy { $0.code == "layout.survivor" })
      #expect(error.description.contains("bytes, about"))
    }
  }

  /// Changes the first operation of a kind in the only function.
  static func mutated(
    _ code: OpCode, last: Bool = false, _ change: (inout GraphIR.Operation) -> Void
  ) -> Graph {
    var graph = broken { _ in }
    let places = graph.functions[0].operations.indices.filter {
      graph.functions[0].operations[$0].code == code
    }
    if let place = last ? places.last : places.first {
      change(&graph.functions[0].operations[place])
    }
    return graph
  }

  static func reasons(_ graph: Graph) throws -> Set<String> {
    try Verifier.verify(graph)
    return Set(try graph.canonicalised().report.survivors.map(\.reason))
  }

  @Test func swappedHalvesAreNoRotation() throws {
    // The halves of the swapped tensor in the wrong order: nothing is swapped at all.
    let graph = Self.mutated(.slice) { $0.attributes["start"] = .int(4) }
    #expect(try Self.reasons(graph).contains { $0.contains("is no rotation") })
  }

  @Test func keysInTheWrongOrderAreNoAttention() throws {
    // Heads that share keys by turns instead of side by side.
    var model = RandomLlama()
    model.layers = 1
    var graph = NaiveLlama(model).graph()
    graph.functions.removeAll { $0.name != "score" }
    for operation in graph.functions[0].operations
    where [.reshape, .expand].contains(operation.code) {
      let id = operation.results[0]
      let extents = graph.functions[0][id].type.shape.dimensions
      guard extents.count == 5 else { continue }
      graph.functions[0][id].type.shape = Shape(
        [extents[0], extents[2], extents[1]] + extents[3...])
    }
    #expect(try Self.reasons(graph).contains { $0.contains("its keys come in the order") })
  }

  @Test func attentionWithoutAMaskIsNone() throws {
    let graph = Self.mutated(.causalMask) {
      $0.code = .scale
      $0.operands.removeLast()
      $0.attributes = ["scale": .float(1)]
    }
    #expect(try Self.reasons(graph).contains { $0.contains("no causal mask") })
  }

  /// A table that only dims what it should hide is no mask.
  @Test func weakMasksAreNone() throws {
    let reasons = { (hidden: Float) in
      try Self.reasons(
        Self.broken {
          $0.addsMask = true
          $0.hidden = hidden
        })
    }
    #expect(try reasons(-10000).isEmpty)
    #expect(try reasons(-100).contains { $0.contains("is no causal mask") })
  }

  /// Movement that reads its own past twice at every step is looked through once.
  @Test(.timeLimit(.minutes(1))) func sharedMovementTakesNoTime() throws {
    var graph = Graph(name: "shared")
    var function = Function(name: "f")
    let type = TensorType([4, 8], .float32)
    var x = function.addInput(type)
    for step in 0..<400 {
      func emit(
        _ code: OpCode, _ operands: [ValueID], _ shape: Shape, _ attributes: [String: Attribute]
      ) -> ValueID {
        function.append(
          code, operands.map { .value($0) }, type: TensorType(shape, .float32),
          attributes: attributes, provenance: Provenance("step \(step)"))
      }
      func half(_ start: Int) -> ValueID {
        emit(.slice, [x], [4, 4], ["axis": .int(1), "start": .int(start), "step": .int(1)])
      }
      let (first, second) = (half(0), half(4))
      x = emit(.concat, [second, first], [4, 8], ["axis": .int(1)])
    }
    function.results = [
      function.append(.softmax, [.value(x)], type: type, provenance: Provenance("end"))
    ]
    graph.functions = [function]
    let report = try graph.canonicalised().report
    #expect(report.initial == 1200)
    #expect(report.survivors.count <= 1200)
  }

  /// Neighbours on both sides are cheap to move, single numbers are not.
  @Test func costsFollowTheRuns() throws {
    func cycles(_ permutation: [Int], _ shape: Shape) throws -> Int {
      var graph = Graph(name: "g")
      var function = Function(name: "f")
      let x = function.addInput(TensorType([16, 64, 8], .float32))
      let y = function.append(
        .transpose, [.value(x)], type: TensorType(shape, .float32),
        attributes: ["permutation": .ints(permutation)], provenance: Provenance("t"))
      function.results = [y]
      graph.functions = [function]
      let report = try graph.canonicalised(costs: .init(elementBytes: 2, bytesPerCycle: 8)).report
      let survivor = try #require(report.survivors.first)
      #expect(survivor.bytes == 16 * 64 * 8 * 2)
      #expect(survivor.reason == "it is a result of the function")
      return survivor.cycles
    }
    // Runs of 8 elements are 2 beats, read and written; single elements a beat each.
    #expect(try cycles([1, 0, 2], [64, 16, 8]) == 2 * 1024 * 2)
    #expect(try cycles([2, 1, 0], [8, 64, 16]) == 2 * 8192)
  }
}
