import GraphIR
import Support
import TensorCore
import TestKit
import Testing

@testable import Passes

/// Certificates that do not hold are found out.
@Suite struct CertificateTests {
  /// What each pass makes of a naive graph, with the graph before it.
  static func rewrites(
    _ rotation: NaiveLlama.Rotation
  ) throws -> [(name: String, before: Graph, rewrite: Rewrite)] {
    var model = RandomLlama()
    (model.context, model.batch, model.layers) = (8, 3, 1)
    (model.dim, model.hidden, model.vocabulary) = (16, 12, 10)
    var naive = NaiveLlama(model)
    naive.rotation = rotation
    naive.usesThreeAxes = true
    naive.addsMask = rotation == .splitHalves
    naive.hasBatchAxis = true
    var graph = naive.graph()
    graph.functions.removeAll { $0.name == "score" }
    // A chain that comes to nothing, and one that is longer than it need be.
    var found: [(String, Graph, Rewrite)] = []
    for pass in PassManager.canonical.passes {
      var isChanged = true
      while isChanged {
        let rewrite = try pass.run(graph)
        found.append((type(of: pass).info.name, graph, rewrite))
        graph = rewrite.graph
        isChanged = pass.isRepeated && !rewrite.kept.isEmpty
      }
    }
    return found
  }

  static func holds(_ before: Graph, _ rewrite: Rewrite) -> Bool {
    (try? CertificateChecker.check(before: before, rewrite: rewrite)) != nil
  }

  /// Other maps of as many elements.
  static func mutations(of map: IndexMap) -> [IndexMap] {
    var found = [
      IndexMap(map.digits, offset: map.offset + 1),
      IndexMap([.init(map.count, map.offset + 1)]),
    ]
    for i in map.digits.indices {
      var digits = map.digits
      digits[i].stride += 1
      found.append(IndexMap(digits, offset: map.offset))
      guard i > 0 else { continue }
      digits = map.digits
      digits.swapAt(i - 1, i)
      found.append(IndexMap(digits, offset: map.offset))
    }
    return found.filter { $0 != map }
  }

  @Test(arguments: NaiveLlama.Rotation.allCases)
  func mutatedMapsAreRejected(_ rotation: NaiveLlama.Rotation) throws {
    var tried = 0
    for (name, before, rewrite) in try Self.rewrites(rotation) {
      #expect(Self.holds(before, rewrite))
      for index in rewrite.certificates.indices {
        let certificate = rewrite.certificates[index]
        func expectRejected(_ what: String, _ change: (inout Certificate) -> Void) {
          var mutated = rewrite
          change(&mutated.certificates[index])
          guard mutated.certificates[index] != certificate else { return }
          tried += 1
          #expect(!Self.holds(before, mutated), "\(what) of \(name): \(certificate)")
        }
        for map in Self.mutations(of: certificate.after) {
          expectRejected("after") { $0.after = map }
          expectRejected("both") { ($0.before, $0.after) = (map, map) }
        }
        if case .attentionResult = certificate.meaning { continue }
        if case .sunkResult = certificate.meaning { continue }
        for map in Self.mutations(of: certificate.before) {
          expectRejected("before") { $0.before = map }
        }
        expectRejected("removed") { $0.removed.append(ValueID(0)) }
        if certificate.removed != [] { expectRejected("entry") { $0.entry = ValueID(0) } }
      }
    }
    #expect(tried > 400)
  }

  @Test(arguments: NaiveLlama.Rotation.allCases)
  func mutatedMeaningsAreRejected(_ rotation: NaiveLlama.Rotation) throws {
    var tried = 0
    for (name, before, rewrite) in try Self.rewrites(rotation) {
      for index in rewrite.certificates.indices {
        let certificate = rewrite.certificates[index]
        var others: [Certificate.Meaning] = []
        func orders(_ channels: IndexMap) -> [IndexMap] {
          let width = channels.count
          return [
            .identity(width), IndexMap(extents: [width / 2, 2], strides: [1, width / 2]),
            IndexMap(extents: [2, width / 2], strides: [1, 2]), .identity(width - 1),
          ]
        }
        switch certificate.meaning {
        case .walk(let value, let end):
          others = [.walk(ValueID(value.index - 1), to: end), .walk(value, to: .value(ValueID(0)))]
        case .attention(let part, let value, let channels):
          others = orders(channels).map { .attention(part, of: value, channels: $0) }
          others += [.attention(part, of: ValueID(0), channels: channels)]
          others += [Certificate.AttentionPart.query, .key, .value].map {
            .attention($0, of: value, channels: channels)
          }
        case .attentionResult(let value, let attention):
          others = [
            .attentionResult(attention, of: attention), .attentionResult(value, of: ValueID(0)),
          ]
        case .cacheRows(let state, let channels):
          others = orders(channels).map { .cacheRows(state, channels: $0) }
          others += [.cacheRows(StateID(1 - state.index), channels: channels)]
        case .cacheReading(let state, let value, let channels):
          others = orders(channels).map { .cacheReading(state, by: value, channels: $0) }
          others += [.cacheReading(state, by: ValueID(0), channels: channels)]
        case .rotation(let part, let rotation):
          var other = rotation
          other.headDim /= 2
          others.append(.rotation(part, other))
          other = rotation
          other.pairing = rotation.pairing == .halves ? .neighbours : .halves
          others.append(.rotation(part, other))
          other = rotation
          other.direct = IndexMap(rotation.direct.digits.reversed())
          if case .result = part {} else { others.append(.rotation(part, other)) }
          if case .partner(let negated?) = part {
            others.append(.rotation(.partner(negated: nil), rotation))
            let swapped = IndexMap(
              negated.digits.map { .init($0.extent, -$0.stride) }, offset: 1 - negated.offset)
            others.append(.rotation(.partner(negated: swapped), rotation))
          }
          if case .cosine(let width) = part {
            others.append(.rotation(.sine(width: width), rotation))
          }
        case .sunkOperand(let place, let value):
          others = [.sunkOperand(place, of: ValueID(0)), .sunkOperand(place + 1, of: value)]
        case .sunkResult(let value, let operation):
          others = [
            .sunkResult(operation, of: operation), .sunkResult(value, of: ValueID(0)),
            .sunkResult(value, of: value),
          ]
        case .mask(let table, let value):
          others = [
            .mask(ConstantID(0), of: value), .mask(table, of: ValueID(0)),
            .attentionResult(value, of: value),
          ]
        case .renaming: break
        }
        for meaning in others where meaning != certificate.meaning {
          var mutated = rewrite
          mutated.certificates[index].meaning = meaning
          tried += 1
          #expect(!Self.holds(before, mutated), "\(meaning) in \(name): \(certificate)")
        }
      }
    }
    #expect(tried > 60)
  }

  /// Without a certificate for its parts no operation may be new, and no movement be gone.
  @Test func missingCertificatesAreNoticed() throws {
    for (name, before, rewrite) in try Self.rewrites(.rotateHalf) {
      for index in rewrite.certificates.indices {
        var mutated = rewrite
        mutated.certificates.remove(at: index)
        #expect(!Self.holds(before, mutated), "\(name): \(rewrite.certificates[index])")
      }
      for index in rewrite.constants.indices {
        var mutated = rewrite
        mutated.constants.remove(at: index)
        #expect(!Self.holds(before, mutated))
      }
    }
  }

  /// A new graph that is not what the certificates speak of is rejected.
  @Test(arguments: [NaiveLlama.Rotation.rotateHalf, .pairs])
  func mutatedGraphsAreRejected(_ rotation: NaiveLlama.Rotation) throws {
    var tried = 0
    for (name, before, rewrite) in try Self.rewrites(rotation) {
      for f in rewrite.graph.functions.indices {
        let function = rewrite.graph.functions[f]
        for (index, operation) in function.operations.enumerated() {
          func expectRejected(_ what: String, _ change: (inout GraphIR.Operation) -> Void) {
            var mutated = rewrite
            change(&mutated.graph.functions[f].operations[index])
            guard mutated.graph.functions[f].operations[index] != operation,
              Verifier.problems(in: mutated.graph).isEmpty
            else { return }
            tried += 1
            #expect(
              !Self.holds(before, mutated),
              "\(name): \(what) of \(operation.code) in \(function.name)")
          }
          if let order = operation.ints("permutation") {
            for i in order.indices.dropFirst() {
              expectRejected("permutation") {
                var other = order
                other.swapAt(i - 1, i)
                $0.attributes["permutation"] = .ints(other)
              }
            }
          }
          for (i, operand) in operation.operands.enumerated() {
            let type = rewrite.graph.type(of: operand, in: function)
            switch operand {
            case .value:
              for other in function.values.indices
              where .value(ValueID(other)) != operand && function.values[other].type == type {
                expectRejected("operand \(i)") { $0.operands[i] = .value(ValueID(other)) }
              }
            case .state(let id):
              expectRejected("state") { $0.operands[i] = .state(StateID(1 - id.index)) }
            case .constant:
              for other in rewrite.graph.constants.indices
              where .constant(ConstantID(other)) != operand
                && rewrite.graph.constants[other].type == type
              {
                expectRejected("constant") { $0.operands[i] = .constant(ConstantID(other)) }
              }
            }
          }
          expectRejected("states") { $0.operands.reverse() }
        }
      }
    }
    #expect(tried > 20)
  }

  /// Numbers of new constants are those of the old ones.
  @Test(arguments: NaiveLlama.Rotation.allCases)
  func mutatedConstantsAreRejected(_ rotation: NaiveLlama.Rotation) throws {
    let (_, before, rewrite) = try #require(try Self.rewrites(rotation).first)
    #expect(!rewrite.constants.isEmpty)
    for claim in rewrite.constants {
      let constant = rewrite.graph[claim.constant]
      let count = constant.type.shape.count
      let numbers = try #require(constant.data?.floats(count: count))
      for place in [0, count / 3, count - 1] {
        var other = numbers
        other[place] += 1
        var mutated = rewrite
        mutated.graph[claim.constant].data = ConstantData(floats: other)
        #expect(!Self.holds(before, mutated), "\(constant.name)")
      }
      var mutated = rewrite
      mutated.graph[claim.constant].data = nil
      #expect(!Self.holds(before, mutated), "\(constant.name) without numbers")
    }
  }

  /// A pass that lies stops the manager, with the pass's name.
  @Test func theManagerStopsLiars() throws {
    struct Liar: GraphPass {
      static let info = PassInfo("lie", "removes a transpose that does something")
      func run(_ graph: Graph) throws(DiagnosticError) -> Rewrite {
        var rewrite = Rewrite(graph)
        let function = graph.functions[0]
        var rewriter = FunctionRewriter(function)
        for operation in function.operations where operation.code == .transpose {
          guard case .value(let x) = operation.operands[0],
            function[x].type == function[operation.results[0]].type
          else { continue }
          rewriter.replace(operation.results[0], with: x)
        }
        _ = rewrite.finish(0, rewriter)
        return rewrite
      }
    }
    var graph = Graph(name: "square")
    var function = Function(name: "f")
    let x = function.addInput(TensorType([3, 3], .float32))
    let y = function.append(
      .transpose, [.value(x)], type: TensorType([3, 3], .float32),
      attributes: ["permutation": .ints([1, 0])], provenance: Provenance("t"))
    function.results = [
      function.append(
        .silu, [.value(y)], type: TensorType([3, 3], .float32), provenance: Provenance("s"))
    ]
    graph.functions = [function]
    do {
      _ = try PassManager([Liar()]).run(graph)
      Issue.record("the lie was believed")
    } catch {
      #expect(error.description.contains("certificate.coverage"))
      #expect(error.description.contains("found after lie"))
    }
  }
}
