import Support
import TensorCore

// Rules about element types, shapes and scales of single operations.
extension Verifier {
  mutating func checkElementTypes(_ op: VerifiedOperation) {
    for i in op.operation.operands.indices {
      guard let parameter = op.parameter(i) else { continue }
      let allowed = Self.elements(of: parameter.name, op.operation.code, op.form)
      let element = op.type(i).element
      if !allowed.contains(element) {
        report(
          .elementTypes,
          "operand \(parameter.name) is \(element.rawValue) instead of \(list(allowed))", in: op)
      }
    }
    if let id = op.operation.results.first {
      let allowed = op.form == .float ? [.float32] : Self.results(of: op.operation.code)
      let element = op.function[id].type.element
      if !allowed.contains(element) {
        report(
          .elementTypes, "the result is \(element.rawValue) instead of \(list(allowed))", in: op)
      }
    }
  }

  private func list(_ elements: [ElementType]) -> String {
    elements.map(\.rawValue).joined(separator: " or ")
  }

  /// The element types an operand may have.
  private static func elements(
    of name: String, _ code: OpCode, _ form: OpDefinition.Form
  ) -> [ElementType] {
    if name == "ids" || name == "pos" { return [.int32] }
    if form == .float { return [.float32] }
    switch (code, name) {
    case (.linear, "weights"), (.embedding, "column_factor"): return [.int8]
    case (.embedding, "table"), (_, "cache"), (_, "k"), (_, "v"): return [.int8, .int4]
    case (.rmsNorm, "x"), (.add, _): return [.int32]
    case (.linear, "x"): return [.int16, .int8]
    case (.rope, "table"): return [.int16]
    case (.lut, "table"): return [.uint32]
    case (.kvWrite, "offset"): return [.int16]
    case (_, "x"), (_, "q"), (_, "a"), (_, "b"): return [.int16]
    default: return [.int32]
    }
  }

  /// The element types a result of the integer form may have.
  private static func results(of code: OpCode) -> [ElementType] {
    switch code {
    case .embedding, .add: [.int32]
    case .rmsNorm, .attention, .mul: [.int16, .int8]
    case .linear: [.int16, .int32]
    case .rope, .lut, .kvWrite, .layerNorm, .silu, .gelu: [.int16]
    case .reshape, .transpose, .expand, .slice, .concat, .matmul, .scale, .negate, .softmax,
      .causalMask, .positionRows, .cacheWrite, .cacheRead:
      []
    }
  }

  mutating func checkShapes(_ op: VerifiedOperation) {
    func require(_ condition: Bool, _ message: @autoclosure () -> String) -> String? {
      condition ? nil : message()
    }
    let operands = op.operation.operands.indices
    let x = op.shape(0)
    let result = op.result.shape
    var findings: [String?] = []
    func expect(_ i: Int, _ shape: Shape) {
      guard operands.contains(i), op.shape(i) != shape else { return }
      findings.append(
        "operand \(op.parameter(i)?.name ?? "\(i)") is \(op.shape(i)) instead of \(shape)")
    }
    func expectResult(_ shape: Shape) {
      findings.append(require(result == shape, "the result is \(result) instead of \(shape)"))
    }
    func rank(_ i: Int, _ rank: Int) -> Bool {
      findings.append(
        require(
          op.shape(i).rank == rank,
          "operand \(op.parameter(i)?.name ?? "\(i)") has \(op.shape(i).rank) axes instead of \(rank)"
        ))
      return op.shape(i).rank == rank
    }
    switch op.operation.code {
    case .embedding:
      guard rank(0, 1), rank(1, 2) else { break }
      expectResult([x[0], op.shape(1)[1]])
      expect(2, [op.shape(1)[0]])
      expect(3, [op.shape(1)[1]])
    case .rmsNorm, .layerNorm:
      guard rank(0, 2) else { break }
      expect(1, [x[1]])
      expect(2, [x[1]])
      expectResult(x)
    case .linear:
      guard rank(0, 2), rank(1, 2) else { break }
      expect(1, [op.shape(1)[0], x[1]])
      expect(2, [op.shape(1)[0]])
      expectResult([x[0], op.shape(1)[0]])
    case .rope:
      guard rank(0, 2), rank(2, 2) else { break }
      let headDim = op.operation.int("head_dim") ?? 0
      expect(1, [])
      expect(2, [op.shape(2)[0], headDim])
      findings.append(
        require(
          headDim % 2 == 0 && headDim > 0 && x[1] % headDim == 0,
          "width \(x[1]) is not whole heads of an even \(headDim) channels"))
      expectResult(x)
    case .kvWrite:
      guard rank(0, 2), rank(2, 3) else { break }
      let cache = op.shape(2)
      // The integer form may pad the rows of a cache.
      if op.form == .float || cache[0] == 0 || x[1] % cache[0] != 0 || x[1] > cache[0] * cache[2] {
        expect(0, [x[0], cache[0] * cache[2]])
      }
      expect(1, [])
      expect(3, [x[1]])
      expect(4, [x[1]])
      findings.append(
        require(x[0] <= cache[1], "\(x[0]) rows do not fit a cache of \(cache[1])"))
    case .attention:
      guard rank(0, 2), rank(2, 3) else { break }
      let heads = op.operation.int("heads") ?? 0
      let kvHeads = op.operation.int("kv_heads") ?? 0
      let headDim = op.operation.int("head_dim") ?? 0
      findings.append(
        require(
          kvHeads > 0 && heads % kvHeads == 0, "\(heads) heads do not share \(kvHeads) evenly"))
      expect(0, [x[0], heads * headDim])
      expect(1, [])
      let pitch = op.shape(2)[2]
      let isPadded = op.form == .integer && pitch > headDim
      expect(2, [kvHeads, op.shape(2)[1], isPadded ? pitch : headDim])
      expect(3, op.shape(2))
      expectResult(x)
    case .silu, .gelu: expectResult(x)
    case .lut:
      expect(1, [512])
      expectResult(x)
    case .mul, .add:
      expect(1, x)
      expectResult(x)
    case .reshape, .transpose, .expand, .slice, .concat, .matmul, .scale, .negate, .softmax,
      .causalMask, .positionRows, .cacheWrite, .cacheRead:
      findings.append(naiveShapeProblem(op))
    }
    for message in findings.compactMap(\.self) { report(.shapes, message, in: op) }
  }

  /// Which scales the integer form needs: one per tensor for values, one per row for weights, one per
  /// head for caches, equal ones where an operation passes numbers through (`Docs/Numerics.md`).
  mutating func checkQuantisation(_ op: VerifiedOperation) {
    guard op.form == .integer else { return }
    func perTensor(_ type: TensorType, _ name: String) {
      if type.quant == nil || type.quant?.axis != nil {
        report(.quantisation, "\(name) needs one scale for the whole tensor", in: op)
      } else if type.quant?.zeroPoints != [0] {
        report(.quantisation, "\(name) must have the zero point 0", in: op)
      }
    }
    for i in op.operation.operands.indices {
      guard let parameter = op.parameter(i) else { continue }
      let type = op.type(i)
      switch (parameter.name, op.operation.code) {
      case ("ids", _), ("pos", _): continue
      case ("table", .embedding), ("weights", _), ("cache", _), ("k", _), ("v", _):
        if type.quant?.axis != 0 || type.quant?.zeroPoints != [0] {
          report(
            .quantisation,
            "\(parameter.name) needs symmetric scales along axis 0", in: op)
        }
      default:
        if parameter.kind == .value { perTensor(type, "operand \(parameter.name)") }
      }
    }
    guard !op.operation.results.isEmpty else { return }
    perTensor(op.result, "the result")
    switch op.operation.code {
    case .add where op.type(0).quant != op.type(1).quant || op.type(0).quant != op.result.quant:
      report(.quantisation, "operands and result must have the same scale", in: op)
    case .rope where op.type(0).quant != op.result.quant:
      report(.quantisation, "operand and result must have the same scale", in: op)
    default: break
    }
  }
}
