import GraphIR
import Reference
import Support
import TensorCore
import TestKit
import Testing

@testable import Passes

/// Naive graphs end as canonical ones that mean the same.
@Suite struct CanonicalisationTests {
  /// One way to spell a model out.
  struct Spelling: Sendable, CustomTestStringConvertible {
    var naive: NaiveLlama
    var testDescription: String
  }

  static let spellings: [Spelling] = {
    var all: [Spelling] = []
    for (heads, kvHeads) in [(4, 4), (4, 2), (4, 1), (1, 1)] {
      for rotation in NaiveLlama.Rotation.allCases {
        for variant in 0..<4 {
          var model = RandomLlama()
          (model.heads, model.kvHeads, model.dim) = (heads, kvHeads, 8 * heads)
          (model.hidden, model.vocabulary, model.context, model.batch) = (24, 40, 16, 5)
          model.biased = variant % 2 == 1
          model.seed = UInt64(variant + 1)
          var naive = NaiveLlama(model)
          naive.rotation = rotation
          naive.hasWholeTables = variant >= 2
          naive.scalesQueries = variant % 2 == 0
          naive.usesThreeAxes = variant == 1 || variant == 2
          naive.transposesFirst = variant == 0 || variant == 3
          naive.addsMask = variant >= 2
          naive.hasBatchAxis = variant == 2 || variant == 0
          all.append(
            Spelling(
              naive: naive,
              testDescription: "\(heads) heads, \(kvHeads) shared, \(rotation), variant \(variant)")
          )
        }
      }
    }
    return all
  }()

  /// The logits of a prefill, two decodes and a score, in one row.
  static func logits(_ graph: Graph, _ model: RandomLlama) throws -> [Float] {
    let interpreter = try FloatInterpreter(graph)
    var state = interpreter.makeState()
    var random = SplitMix64(seed: 7)
    func tokens(_ count: Int) -> [Int32] {
      (0..<count).map { _ in Int32(random.next() % UInt64(model.vocabulary)) }
    }
    var all = try interpreter.run(
      "prefill", ids: tokens(model.batch), position: 0, state: &state)
    #expect(all.isEmpty)
    for step in 0..<2 {
      all += try interpreter.run(
        "decode", ids: tokens(1), position: model.batch + step, state: &state)
    }
    return all
      + (try interpreter.run(
        "score", ids: tokens(model.batch), position: model.batch + 2, state: &state))
  }

  static func distance(_ a: [Float], _ b: [Float]) -> Float {
    guard a.count == b.count, !a.isEmpty else { return .infinity }
    return zip(a, b).map { abs($0 - $1) }.max() ?? 0
  }

  @Test(arguments: spellings) func endsWithoutMovement(_ spelling: Spelling) throws {
    let graph = spelling.naive.graph()
    try Verifier.verify(graph)
    let movements = graph.functions.reduce(0) { $0 + $1.operations.count { $0.code.isMovement } }
    #expect(movements > 100)
    let (canonical, report) = try graph.canonicalised()
    #expect(report.survivors.isEmpty, "\(report.survivors.prefix(3))")
    #expect(report.removed == movements)
    for function in canonical.functions {
      let naive = function.operations.filter { $0.code.isNaive }
      #expect(naive.isEmpty, "\(naive)")
    }
    let before = try Self.logits(graph, spelling.naive.model)
    let after = try Self.logits(canonical, spelling.naive.model)
    #expect(Self.distance(before, after) < 2e-5)
  }

  /// Every pass keeps the meaning by itself, not only all of them together.
  @Test(arguments: NaiveLlama.Rotation.allCases)
  func everyPassKeepsTheMeaning(_ rotation: NaiveLlama.Rotation) throws {
    var naive = NaiveLlama()
    naive.rotation = rotation
    let graph = naive.graph()
    let wanted = try Self.logits(graph, naive.model)
    for count in 1...PassManager.canonical.passes.count {
      let passes = PassManager(Array(PassManager.canonical.passes.prefix(count)))
      let outcome = try passes.run(graph)
      #expect(Self.distance(wanted, try Self.logits(outcome.graph, naive.model)) < 2e-5)
    }
  }

  /// Neighbouring pairs need no reordering: the result is the graph an importer builds.
  @Test func pairsBecomeTheImportersGraph() throws {
    var naive = NaiveLlama()
    naive.rotation = .pairs
    let (canonical, _) = try naive.graph().canonicalised()
    let imported = naive.model.graph()
    for name in ["decode", "score"] {
      let made = try #require(canonical.function(name))
      let wanted = try #require(imported.function(name))
      #expect(made.operations.map(\.code) == wanted.operations.map(\.code))
      #expect(made.operations.map(\.attributes) == wanted.operations.map(\.attributes))
    }
    let table = canonical.constants.first { $0.name == "rope.table" }
    let same = imported.constants.first { $0.name == "rope.table" }
    #expect(
      table?.data?.floats(count: table?.type.shape.count ?? 0)
        == same?.data?.floats(count: same?.type.shape.count ?? 0))
    #expect(try Self.logits(canonical, naive.model) == Self.logits(imported, naive.model))
  }

  /// What is canonical already stays as it is.
  @Test func canonicalGraphsStay() throws {
    let graph = RandomLlama().graph()
    let (canonical, report) = try graph.canonicalised()
    #expect(canonical.functions == graph.functions)
    #expect(report.summary == "0 transposes, 0 copies left (0 removed)")
  }
}
