import GraphIR
import Support
import TensorCore
import Testing

/// The textual form prints and parses back to the same graph, whatever is in it.
@Suite struct RoundTripTests {
  static let strings = [
    "plain", "a.b-c/d+1", "//x", "/", "two words", "quote\"back\\slash", "line\nend", "ünïcode 🙂",
    "\u{1}\u{7F}", "-", "q", "axis", "nhcwb16", "from", "return", "x", "4x4", "inf",
  ]

  static func type(_ rng: inout SplitMix64) -> TensorType {
    let shape = Shape(
      (0..<Int.random(in: 0...4, using: &rng)).map { _ in
        Int.random(in: 1...6, using: &rng)
      })
    var type = TensorType(
      shape, ElementType.allCases.randomElement(using: &rng) ?? .int8,
      layout: Layout.allCases.randomElement(using: &rng) ?? .nhwc)
    func scale(_ rng: inout SplitMix64) -> Float {
      Float(bitPattern: UInt32.random(in: 1...0x7F7F_FFFF, using: &rng))
    }
    switch Int.random(in: 0..<4, using: &rng) {
    case 0: type.quant = QuantParams(scale: scale(&rng))
    case 1:
      type.quant = QuantParams(
        scale: scale(&rng), zeroPoint: Int32.random(in: -128...127, using: &rng))
    case 2 where shape.rank > 0:
      let axis = Int.random(in: 0..<shape.rank, using: &rng)
      type.quant = QuantParams(
        scales: (0..<shape[axis]).map { _ in scale(&rng) },
        zeroPoints: (0..<shape[axis]).map { _ in Int32.random(in: .min ... .max, using: &rng) },
        axis: axis)
    default: break
    }
    return type
  }

  static func graph(_ rng: inout SplitMix64) -> Graph {
    func name(_ i: Int, _ rng: inout SplitMix64) -> String {
      "\(strings.randomElement(using: &rng) ?? "")\(i)"
    }
    var graph = Graph(name: strings.randomElement(using: &rng) ?? "")
    for i in 0..<3 { graph.metadata[name(i, &rng)] = strings.randomElement(using: &rng) }
    for i in 0..<4 {
      _ = graph.addConstant(Constant(name: name(i, &rng), type: type(&rng), data: nil))
      _ = graph.addState(State(name: name(i, &rng), type: type(&rng)))
    }
    for i in 0..<3 {
      var f = Function(name: name(i, &rng))
      for _ in 0..<Int.random(in: 0...3, using: &rng) { _ = f.addInput(type(&rng)) }
      for _ in 0..<Int.random(in: 0...8, using: &rng) {
        var operands: [Operand] = []
        for _ in 0..<Int.random(in: 0...4, using: &rng) {
          switch Int.random(in: 0..<3, using: &rng) {
          case 0 where !f.values.isEmpty:
            operands.append(.value(ValueID(Int.random(in: 0..<f.values.count, using: &rng))))
          case 1: operands.append(.constant(ConstantID(Int.random(in: 0..<4, using: &rng))))
          default: operands.append(.state(StateID(Int.random(in: 0..<4, using: &rng))))
          }
        }
        let results = (0..<Int.random(in: 0...2, using: &rng)).map { _ in f.addValue(type(&rng)) }
        var attributes: [String: Attribute] = [:]
        for k in 0..<Int.random(in: 0...3, using: &rng) {
          let value: Attribute =
            switch Int.random(in: 0..<4, using: &rng) {
            case 0: .int(Int.random(in: .min ... .max, using: &rng))
            case 1: .float(rng.normal() * 1e10)
            case 2:
              .ints(
                (0..<Int.random(in: 0...4, using: &rng)).map { _ in
                  Int.random(in: -9...9, using: &rng)
                })
            default: .string(strings.randomElement(using: &rng) ?? "")
            }
          attributes[name(k, &rng)] = value
        }
        f.operations.append(
          Operation(
            OpCode.allCases.randomElement(using: &rng) ?? .add, operands, results: results,
            attributes: attributes,
            provenance: Provenance(strings.randomElement(using: &rng) ?? "")))
      }
      if !f.values.isEmpty { f.results = [ValueID(0), ValueID(f.values.count - 1)] }
      graph.functions.append(f)
    }
    return graph
  }

  @Test func randomGraphsRoundTrip() throws {
    var rng = SplitMix64(seed: 20)
    for _ in 0..<2000 {
      let graph = Self.graph(&rng)
      let text = GraphPrinter.print(graph)
      let back = try GraphParser.parse(text)
      guard back.name == graph.name, back.metadata == graph.metadata,
        back.states == graph.states, back.functions == graph.functions,
        back.constants.map(\.name) == graph.constants.map(\.name),
        back.constants.map(\.type) == graph.constants.map(\.type)
      else {
        Issue.record("does not round-trip:\n\(text)\n---\n\(GraphPrinter.print(back))")
        return
      }
    }
  }

  /// Mutated and truncated texts give a graph or an error, never a trap, and what parses verifies or
  /// is refused.
  @Test func damagedTextsAreHandled() {
    var rng = SplitMix64(seed: 21)
    for _ in 0..<1500 {
      var text = Array(GraphPrinter.print(Self.graph(&rng)).utf8)
      for _ in 0..<Int.random(in: 0...6, using: &rng) {
        text[Int.random(in: 0..<text.count, using: &rng)] = UInt8.random(in: 0...255, using: &rng)
      }
      if Bool.random(using: &rng) {
        text.removeLast(Int.random(in: 0..<text.count, using: &rng))
      }
      guard let graph = try? GraphParser.parse(String(decoding: text, as: UTF8.self)) else {
        continue
      }
      _ = Verifier.problems(in: graph)
    }
  }

  @Test func absurdValueNumbersAreRefused() {
    let text = "graph \"x\"\nfunction @f(%999999999999 : int8[]) {\n  return\n}\n"
    #expect(throws: DiagnosticError.self) { try GraphParser.parse(text) }
  }
}
