import GraphIR
import Support
import TensorCore
import Testing

/// Rules that the textual form cannot break.
@Suite struct VerifierTests {
  static func sound() -> Graph {
    var graph = Graph(name: "sound")
    let w = graph.addConstant(
      Constant(
        name: "w", type: TensorType([2, 32], .float32),
        data: ConstantData(floats: [Float](repeating: 1, count: 64))))
    var f = Function(name: "f")
    let x = f.addInput(TensorType([1, 32], .float32))
    let y = f.append(
      .linear, [.value(x), .constant(w)], type: TensorType([1, 2], .float32),
      provenance: Provenance("w"))
    f.results = [y]
    graph.functions.append(f)
    return graph
  }

  func codes(_ graph: Graph) -> [String] { Verifier.problems(in: graph).map(\.code) }

  @Test func soundGraphPasses() { #expect(codes(Self.sound()).isEmpty) }

  @Test func danglingReferences() {
    for operand in [
      Operand.value(ValueID(9)), .constant(ConstantID(1)), .state(StateID(0)),
      .value(ValueID(-1)),
    ] {
      var graph = Self.sound()
      graph.functions[0].operations[0].operands[0] = operand
      #expect(codes(graph) == ["verify.references"])
    }
    var graph = Self.sound()
    graph.functions[0].operations[0].results = [ValueID(7)]
    #expect(codes(graph).contains("verify.references"))
    graph = Self.sound()
    graph.functions[0].results = [ValueID(7)]
    #expect(codes(graph) == ["verify.references"])
  }

  @Test func constantDataMustFit() {
    var graph = Self.sound()
    graph.constants[0].data = ConstantData(floats: [1, 2])
    #expect(codes(graph) == ["verify.constant-data"])
    graph.constants[0].data = ConstantData(int8: [Int8](repeating: 0, count: 64))
    #expect(codes(graph) == ["verify.constant-data"])
    let blocks = ByteSource([UInt8](repeating: 0, count: 68))
    graph.constants[0].data = ConstantData(bytes: blocks, encoding: .blocks(.q8_0))
    #expect(codes(graph).isEmpty)
    graph.constants[0].type.element = .int32
    #expect(codes(graph).contains("verify.constant-data"))
  }

  @Test func messagesNameTheOperation() {
    var graph = Self.sound()
    graph.functions[0].operations[0].provenance = Provenance("")
    let text = Verifier.problems(in: graph).first?.description ?? ""
    #expect(text.contains("function @f, operation 0 (linear)"))
  }
}
