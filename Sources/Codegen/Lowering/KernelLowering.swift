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

  /// The step of `operation`, run at `time` (its place in the execution order).
  func step(
    _ operation: Operation, time: Int, params: inout ParamsBuilder, tables: inout ParamsBuilder
  ) throws(DiagnosticError) -> Step {
    let reader = KernelOperands(lowering: self, operation: operation)
    switch operation.code {
    case .embedding:
      let table = try reader.constantType(1)
      let out = try reader.resultType()
      return Step(
        .embedding,
        [
          UInt32(out.shape[0]), UInt32(out.shape[1]), UInt32(table.shape[0]),
          try reader.constant(1, &tables), try reader.constant(2, &tables),
          try reader.attribute("shift"), try reader.result(),
        ])
    case .attention:
      let cache = try reader.stateType(2)
      let out = try reader.resultType()
      guard let scratch = plan.scratch[time] else {
        throw reader.malformed("has no scratch buffer")
      }
      let heads = try reader.attribute("heads")
      return Step(
        .attention,
        [
          UInt32(out.shape[0]), heads, UInt32(cache.shape[0]), try reader.attribute("head_dim"),
          UInt32(cache.shape[2]), UInt32(cache.shape[1]), try reader.value(0),
          try reader.state(2), try reader.state(3), try reader.attribute("score_multiplier"),
          try reader.attribute("score_shift"),
          RegionReference(.params, try params.table(FixedTables.powers).offset).word,
          RegionReference(.params, try params.table(FixedTables.reciprocals).offset).word,
          try reader.attribute("multiplier"), try reader.attribute("shift"),
          RegionReference(.arena, scratch).word, try reader.result(), try reader.resultBits(),
        ])
    case .rmsNorm, .rope, .kvWrite, .lut, .mul, .add:
      throw reader.malformed("runs on the NPU")
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
private struct KernelOperands {
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
