import GraphIR
import ProgramFormat
import Support
import TensorCore

/// Writes the runtime steps of operations that run on the CPU.
struct KernelLowering {
  let graph: Graph
  let function: Function
  let plan: BufferPlan
  /// The byte offset of each state in the state region.
  let stateOffsets: [StateID: Int]

  /// The scratch a kernel needs while it runs: attention keeps one number per position.
  static func scratchBytes(_ operation: Operation, in graph: Graph) -> Int {
    guard operation.code == .attention, operation.operands.count > 2,
      case .state(let cache) = operation.operands[2]
    else { return 0 }
    return graph[cache].type.shape[1] * 4
  }

  /// The step of `operation`, run at `time` (its index in the schedule).
  func step(
    _ operation: Operation, time: Int, params: inout ParamsBuilder
  ) throws(DiagnosticError) -> Step {
    let reader = OperandReader(lowering: self, operation: operation)
    switch operation.code {
    case .embedding:
      let table = try reader.constantType(1)
      let out = try reader.resultType()
      return Step(
        .embedding,
        [
          UInt32(out.shape[0]), UInt32(out.shape[1]), UInt32(table.shape[0]),
          try reader.constant(1, &params), try reader.constant(2, &params),
          try reader.attribute("shift"), try reader.result(),
        ])
    case .rmsNorm:
      let out = try reader.resultType()
      let eps = try reader.wideAttribute("eps_q")
      return Step(
        .rmsNorm,
        [
          UInt32(out.shape[0]), UInt32(out.shape[1]), try reader.value(0),
          try reader.constant(1, &params), try reader.attribute("shift"),
          UInt32(truncatingIfNeeded: eps), UInt32(truncatingIfNeeded: eps >> 32),
          try reader.result(), try reader.resultBits(),
        ])
    case .rope:
      let out = try reader.resultType()
      let table = try reader.constantType(2)
      let headDim = table.shape[1]
      return Step(
        .rope,
        [
          UInt32(out.shape[0]), UInt32(out.shape[1] / headDim), UInt32(headDim),
          UInt32(table.shape[0]), try reader.value(0), try reader.constant(2, &params),
          try reader.result(),
        ])
    case .kvWrite:
      let cache = try reader.stateType(2)
      let x = try reader.valueType(0)
      return Step(
        .kvWrite,
        [
          UInt32(x.shape[0]), UInt32(cache.shape[0]), UInt32(cache.shape[2]),
          UInt32(cache.shape[1]), try reader.value(0), try reader.constant(3, &params),
          try reader.constant(4, &params), try reader.constant(5, &params), try reader.state(2),
        ])
    case .attention:
      let cache = try reader.stateType(2)
      let out = try reader.resultType()
      guard let scratch = plan.scratch[time] else {
        throw reader.malformed("has no scratch buffer")
      }
      return Step(
        .attention,
        [
          UInt32(out.shape[0]), UInt32(out.shape[1] / cache.shape[2]), UInt32(cache.shape[0]),
          UInt32(cache.shape[2]), UInt32(cache.shape[1]), try reader.value(0),
          try reader.state(2), try reader.state(3), try reader.constant(4, &params),
          try reader.constant(5, &params), try reader.constant(6, &params),
          try reader.constant(7, &params), RegionReference(.arena, scratch).word,
          try reader.result(), try reader.resultBits(),
        ])
    case .lut:
      return Step(
        .lut,
        [
          UInt32(try reader.resultType().shape.count), try reader.value(0),
          try reader.constant(1, &params), try reader.result(),
        ])
    case .mul:
      return Step(
        .mul,
        [
          UInt32(try reader.resultType().shape.count), try reader.value(0), try reader.value(1),
          try reader.attribute("multiplier"), try reader.attribute("shift"), try reader.result(),
          try reader.resultBits(),
        ])
    case .add:
      return Step(
        .add,
        [
          UInt32(try reader.resultType().shape.count), try reader.value(0), try reader.value(1),
          try reader.result(),
        ])
    case .linear, .layerNorm, .silu, .gelu:
      throw DiagnosticError(
        "codegen.unsupported", "\(operation.code.rawValue) has no device kernel in this form",
        at: SourceLocation(element: operation.provenance.source),
        wayOut: "quantise the graph first; this operation has no integer form yet")
    }
  }
}

/// Reads one operation's operands and attributes as step parameters, with an error where they are not
/// what the kernel needs.
private struct OperandReader {
  let lowering: KernelLowering
  let operation: Operation

  func malformed(_ what: String) -> DiagnosticError {
    DiagnosticError(
      "codegen.malformed", "\(operation.code.rawValue) \(what)",
      at: SourceLocation(element: operation.provenance.source))
  }

  private func operand(_ index: Int) throws(DiagnosticError) -> Operand {
    guard index < operation.operands.count else { throw malformed("lacks operand \(index)") }
    return operation.operands[index]
  }

  func value(_ index: Int) throws(DiagnosticError) -> UInt32 {
    guard case .value(let id) = try operand(index), let offset = lowering.plan.offsets[id] else {
      throw malformed("operand \(index) has no buffer")
    }
    return RegionReference(.arena, offset).word
  }

  func valueType(_ index: Int) throws(DiagnosticError) -> TensorType {
    guard case .value(let id) = try operand(index) else {
      throw malformed("operand \(index) is not a value")
    }
    return lowering.function[id].type
  }

  func constant(_ index: Int, _ params: inout ParamsBuilder) throws(DiagnosticError) -> UInt32 {
    guard case .constant(let id) = try operand(index) else {
      throw malformed("operand \(index) is not a constant")
    }
    return try params.place(id, of: lowering.graph).word
  }

  func constantType(_ index: Int) throws(DiagnosticError) -> TensorType {
    guard case .constant(let id) = try operand(index) else {
      throw malformed("operand \(index) is not a constant")
    }
    return lowering.graph[id].type
  }

  func state(_ index: Int) throws(DiagnosticError) -> UInt32 {
    guard case .state(let id) = try operand(index), let offset = lowering.stateOffsets[id] else {
      throw malformed("operand \(index) is not a state")
    }
    return RegionReference(.state, offset).word
  }

  func stateType(_ index: Int) throws(DiagnosticError) -> TensorType {
    guard case .state(let id) = try operand(index) else {
      throw malformed("operand \(index) is not a state")
    }
    return lowering.graph[id].type
  }

  func result() throws(DiagnosticError) -> UInt32 {
    guard let id = operation.results.first, let offset = lowering.plan.offsets[id] else {
      throw malformed("has no result buffer")
    }
    return RegionReference(.arena, offset).word
  }

  func resultType() throws(DiagnosticError) -> TensorType {
    guard let id = operation.results.first else { throw malformed("has no result") }
    return lowering.function[id].type
  }

  func resultBits() throws(DiagnosticError) -> UInt32 {
    switch try resultType().element {
    case .int8: 8
    case .int16: 16
    default: throw malformed("must give int8 or int16")
    }
  }

  func wideAttribute(_ name: String) throws(DiagnosticError) -> UInt64 {
    guard let value = operation.int(name), value >= 0 else {
      throw malformed("lacks attribute \(name)")
    }
    return UInt64(value)
  }

  func attribute(_ name: String) throws(DiagnosticError) -> UInt32 {
    guard let value = UInt32(exactly: try wideAttribute(name)) else {
      throw malformed("attribute \(name) exceeds 32 bits")
    }
    return value
  }
}
