import GraphIR
import Reference
import Support
import TensorCore
import TestKit
import Testing

@testable import Passes

/// Layer norms over a residual stream become RMS norms that mean the same.
@Suite struct CentreResidualTests {
  /// A model with layer norms.
  struct Model: Sendable, CustomTestStringConvertible {
    var shape: RandomLlama
    var testDescription: String
  }

  static let models: [Model] = {
    var all: [Model] = []
    for norm in RandomLlama.LayerNorm.allCases {
      for variant in 0..<8 {
        var shape = RandomLlama()
        (shape.context, shape.batch) = (16, 5)
        shape.layerNorm = norm
        shape.tied = variant % 2 == 0
        shape.gated = variant / 2 % 2 == 0
        shape.biasedThroughout = variant >= 4
        shape.seed = UInt64(variant + 1)
        all.append(
          Model(
            shape: shape,
            testDescription: "\(norm), \(shape.tied ? "tied" : "untied"), "
              + "\(shape.gated ? "SwiGLU" : "GELU"), "
              + (shape.biasedThroughout ? "biases" : "no biases")))
      }
    }
    return all
  }()

  static func count(_ graph: Graph, _ code: OpCode) -> Int {
    graph.functions.reduce(0) { $0 + $1.operations.count { $0.code == code } }
  }

  @Test(arguments: models) func meansTheSame(_ model: Model) throws {
    let graph = model.shape.graph()
    #expect(Self.count(graph, .layerNorm) > 10)
    let (canonical, report) = try graph.canonicalised()
    #expect(Self.count(canonical, .layerNorm) == 0)
    #expect(Self.count(canonical, .rmsNorm) == Self.count(graph, .layerNorm))
    let before = try CanonicalisationTests.logits(graph, model.shape)
    let after = try CanonicalisationTests.logits(canonical, model.shape)
    #expect(CanonicalisationTests.distance(before, after) < 1e-4)
    // Every row of the stream is free of its mean: rows of the table, columns of what is added.
    let score = try #require(canonical.function("score"))
    for operation in score.operations where operation.code == .embedding {
      #expect(try Self.largestMean(of: operation, canonical, alongRows: true) < 1e-6)
    }
    for operation in score.operations
    where ["attn_output.weight", "ffn_down.weight"].contains(where: {
      operation.code == .linear && operation.provenance.source.hasSuffix($0)
    }) {
      #expect(try Self.largestMean(of: operation, canonical, alongRows: false) < 1e-6)
    }
    // What nobody reads any more is gone, what is shared still is.
    let names = canonical.constants.map(\.name)
    #expect(Set(names).count == names.count)
    let keepsTable = model.shape.tied && model.shape.layerNorm != .plain
    #expect(names.contains("token_embd.weight") == keepsTable)
    #expect(names.contains("token_embd.weight.centred"))
    #expect(names.contains { $0.hasSuffix(".beta") || $0.hasSuffix("norm.bias") } == false)
    let stage = report.stages.first { $0.info.name == "centre-residual" }
    #expect(stage?.counters.last?.count == (keepsTable ? 1 : 0))
  }

  static func largestMean(
    of operation: GraphIR.Operation, _ graph: Graph, alongRows: Bool
  ) throws -> Double {
    guard case .constant(let id) = operation.operands[1] else { return .infinity }
    let shape = graph[id].type.shape
    let values = try #require(graph[id].data?.floats(count: shape.count))
    let (lines, length) = alongRows ? (shape[0], shape[1]) : (shape[1], shape[0])
    return (0..<lines).map { line in
      let sum = (0..<length).reduce(0.0) {
        $0 + Double(values[alongRows ? line * shape[1] + $1 : $1 * shape[1] + line])
      }
      return abs(sum / Double(length))
    }.max() ?? 0
  }

  /// A graph without layer norms is left alone.
  @Test func rmsModelsStay() throws {
    let graph = RandomLlama().graph()
    let rewrite = try CentreResidual().run(graph)
    #expect(rewrite.kept.isEmpty)
    #expect(rewrite.graph.constants.count == graph.constants.count)
  }

  // MARK: What does not fit

  /// The graph of a model whose `score` has been changed, after the pass.
  static func centred(_ change: (inout Graph, inout Function) throws -> Void) throws -> Graph {
    var shape = RandomLlama()
    shape.layerNorm = .full
    shape.biasedThroughout = true
    var graph = shape.graph()
    graph.functions.removeAll { $0.name != "score" }
    var function = graph.functions[0]
    try change(&graph, &function)
    graph.functions = [function]
    try Verifier.verify(graph)
    return try graph.canonicalised().graph
  }

  @Test func aStreamThatIsReturnedStays() throws {
    let graph = try Self.centred { _, function in
      function.results = try #require(function.operations.last { $0.code == .add }).results
    }
    #expect(Self.count(graph, .layerNorm) == 5 && Self.count(graph, .rmsNorm) == 0)
  }

  @Test func aStreamThatSomethingElseReadsStays() throws {
    let graph = try Self.centred { _, function in
      let sum = try #require(function.operations.first { $0.code == .add }?.results.first)
      let last = try #require(function.operations.last { $0.code == .layerNorm }?.operands[0])
      let type = function[sum].type
      let product = function.append(
        .mul, [.value(sum), last], type: type, provenance: Provenance("odd"))
      function.results = [product]
    }
    #expect(Self.count(graph, .layerNorm) >= 4 && Self.count(graph, .rmsNorm) == 0)
  }

  @Test func onlyTheNormThatSomethingElseReadsStays() throws {
    let graph = try Self.centred { _, function in
      let norm = try #require(function.operations.last { $0.code == .layerNorm }?.results.first)
      function.results = [
        function.append(
          .silu, [.value(norm)], type: function[norm].type, provenance: Provenance("odd"))
      ]
    }
    #expect(Self.count(graph, .layerNorm) == 1 && Self.count(graph, .rmsNorm) == 4)
  }

  @Test func aGraphWithoutNumbersStays() throws {
    let graph = try Self.centred { graph, _ in
      for index in graph.constants.indices { graph.constants[index].data = nil }
    }
    #expect(Self.count(graph, .layerNorm) == 5 && Self.count(graph, .rmsNorm) == 0)
  }

  // MARK: The proof

  /// A change that a pass might make by mistake.
  enum Mistake: String, CaseIterable {
    case weightsStay, tableStays, biasStays, betaForgotten, betaTwice, headCentred, oneColumn
    case eps, gamma, gateGone, oldConstant, otherStream, normLost, state
  }

  @Test(arguments: Mistake.allCases) func mistakesAreFound(_ mistake: Mistake) throws {
    var shape = RandomLlama()
    shape.layerNorm = .full
    shape.biasedThroughout = true
    let graph = shape.graph()
    let rewrite = try CentreResidual().run(graph)
    try CentringChecker.check(before: graph, after: rewrite.graph)
    var lie = rewrite.graph
    let index = try #require(lie.functions.firstIndex { $0.name == "score" })
    func place(_ code: OpCode, _ source: String = "") throws -> Int {
      try #require(
        lie.functions[index].operations.firstIndex {
          $0.code == code && $0.provenance.source.hasSuffix(source)
        })
    }
    func constant(_ place: Int, _ operand: Int) throws -> ConstantID {
      guard case .constant(let id) = lie.functions[index].operations[place].operands[operand] else {
        throw DiagnosticError("test", "no constant")
      }
      return id
    }
    func change(_ id: ConstantID, _ body: (inout [Float]) -> Void) throws {
      var values = try #require(lie[id].data?.floats(count: lie[id].type.shape.count))
      body(&values)
      lie[id].data = ConstantData(floats: values)
    }
    let old = graph.functions[index].operations
    switch mistake {
    case .weightsStay:
      let at = try place(.linear, "ffn_down.weight")
      lie.functions[index].operations[at].operands[1] = old[at].operands[1]
    case .tableStays:
      let at = try place(.embedding)
      lie.functions[index].operations[at].operands[1] = old[at].operands[1]
    case .biasStays:
      let at = try place(.linear, "attn_output.weight")
      lie.functions[index].operations[at].operands[2] = old[at].operands[2]
    case .betaForgotten:
      let at = try place(.linear, "attn_q.weight")
      lie.functions[index].operations[at].operands[2] = old[at].operands[2]
    case .betaTwice:
      try change(constant(place(.linear, "output.weight"), 2)) { $0[3] *= 2 }
    case .headCentred:
      let table = try constant(place(.embedding), 1)
      lie.functions[index].operations[try place(.linear, "output.weight")].operands[1] =
        .constant(table)
    case .oneColumn:
      try change(constant(place(.linear, "ffn_down.weight"), 1)) { values in
        for row in 0..<shape.dim { values[row * shape.hidden + 7] += 1e-4 }
      }
    case .eps:
      lie.functions[index].operations[try place(.rmsNorm)].attributes["eps"] = .float(1e-4)
    case .gamma:
      let (first, second) = (
        try place(.rmsNorm, "attn_norm.weight"), try place(.rmsNorm, "ffn_norm.weight")
      )
      lie.functions[index].operations[first].operands[1] = old[second].operands[1]
    case .gateGone:
      lie.functions[index].operations[try place(.silu)].code = .gelu
    case .oldConstant:
      try change(constant(place(.linear, "ffn_down.weight"), 1)) { _ in }
      let at = old.firstIndex { $0.provenance.source.hasSuffix("attn_v.weight") } ?? 0
      if case .constant(let id) = old[at].operands[1] { try change(id) { $0[0] += 1 } }
    case .otherStream:
      let at = try place(.add)
      let operands = lie.functions[index].operations[at].operands
      lie.functions[index].operations[at].operands = [operands[0], operands[0]]
    case .normLost:
      let at = try place(.linear, "ffn_up.weight")
      let norm = try #require(
        lie.functions[index].operations.first { $0.code == .rmsNorm }?.results.first)
      lie.functions[index].operations[at].operands[0] = .value(norm)
    case .state:
      lie.states[0].name = "other"
    }
    #expect(throws: DiagnosticError.self) {
      try CentringChecker.check(before: graph, after: lie)
    }
  }

  /// The manager asks the checker that the rewrite's proof names, for passes of any author.
  @Test func movementHidesBehindNoOtherProof() throws {
    struct Liar: GraphPass {
      static let info = PassInfo("lie", "drops an activation")
      func run(_ graph: Graph) throws(DiagnosticError) -> Rewrite {
        var rewrite = Rewrite(graph)
        rewrite.proof = .centring
        for index in rewrite.graph.functions.indices {
          for place in rewrite.graph.functions[index].operations.indices
          where rewrite.graph.functions[index].operations[place].code == .silu {
            rewrite.graph.functions[index].operations[place].code = .negate
          }
        }
        return rewrite
      }
    }
    do {
      _ = try PassManager([Liar()]).run(RandomLlama().graph())
      Issue.record("the lie was believed")
    } catch {
      #expect(error.description.contains("certificate.centring"))
    }
  }
}
