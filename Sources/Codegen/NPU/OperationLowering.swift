import EthosUISA
import GraphIR
import ProgramFormat
import Support
import TensorCore

/// Turns operations into the commands of NPU jobs.
///
/// `Docs/Numerics.md` is written so that every line of it is one operation of an Ethos-U; this is where
/// they are laid out. Values between them live in the operation's scratch, constants in `params`.
struct OperationLowering {
  let graph: Graph
  let function: Function
  let plan: BufferPlan
  /// The byte offset of each state in the state region, and of the score mask.
  let state: StateLayout

  /// The commands of an operation that is no linear layer, run at `time` (its place in the function's
  /// execution order).
  func commands(
    _ operation: Operation, time: Int, params: inout ParamsBuilder, tables: inout ParamsBuilder
  ) throws(DiagnosticError) -> [JobCommand] {
    let reader = OperandReader(lowering: self, operation: operation)
    var body = KernelSequence(scratch: plan.scratch[time] ?? 0)
    switch operation.code {
    case .add:
      body.elementwise(.add, try reader.value(0), .tensor(try reader.value(1)), try reader.result())
    case .mul:
      body.elementwise(
        .mul, try reader.value(0), .tensor(try reader.value(1)), try reader.result(),
        multiplier: UInt32(try reader.attribute("multiplier")),
        shift: try reader.attribute("shift"))
    case .lut:
      body.table(try reader.constant(1, &params))
      body.elementwise(
        .mul, try reader.value(0), .constant(1), try reader.result(), usesTable: true)
    case .rmsNorm: try lowerNorm(reader, &params, &body)
    case .rope: try lowerRotation(reader, &params, &body)
    case .kvWrite: try lowerCacheWrite(reader, &params, &body)
    case .attention: try lowerBatchAttention(reader, &params, &body)
    case .embedding: try lowerEmbedding(reader, &tables, &body)
    case .linear: throw reader.malformed("comes as packed weights")
    case .layerNorm, .silu, .gelu, .reshape, .transpose, .expand, .slice, .concat, .matmul, .scale,
      .negate,
      .softmax, .causalMask, .positionRows, .cacheWrite, .cacheRead:
      throw DiagnosticError(
        "codegen.unsupported", "\(operation.code.rawValue) has no integer form yet",
        at: SourceLocation(element: operation.provenance.source), wayOut: "quantise the graph first"
      )
    }
    return body.commands
  }

  /// The scratch an operation needs while it runs.
  static func scratchBytes(_ operation: Operation, of function: Function, in graph: Graph) -> Int {
    func type(_ index: Int) -> TensorType? {
      guard operation.operands.indices.contains(index) else { return nil }
      return graph.type(of: operation.operands[index], in: function)
    }
    switch operation.code {
    case .rmsNorm:
      guard let x = type(0) else { return 0 }
      return NormScratch(rows: x.shape[0], width: x.shape[1]).bytes
    case .rope:
      guard let x = type(0) else { return 0 }
      return RotationScratch(count: x.shape.count).bytes
    case .kvWrite:
      return type(0).map { $0.shape.count * 4 } ?? 0
    case .attention:
      guard let cache = type(2), let heads = operation.int("heads"),
        let headDim = operation.int("head_dim")
      else { return 0 }
      return BatchAttentionScratch(
        one: AttentionScratch(
          heads: heads, kvHeads: cache.shape[0], context: cache.shape[1], headDim: headDim),
        batch: type(0)?.shape[0] ?? 1
      ).bytes
    case .embedding:
      guard let result = operation.results.first else { return 0 }
      return function[result].type.byteCount
    case .linear, .layerNorm, .silu, .gelu, .lut, .mul, .add, .reshape, .transpose, .expand, .slice,
      .concat, .matmul, .scale, .negate,
      .softmax, .causalMask, .positionRows, .cacheWrite, .cacheRead:
      return 0
    }
  }
}

/// Where states lie in the state region.
struct StateLayout {
  /// The byte offset of each state.
  var offsets: [StateID: Int] = [:]
  /// The byte offset of the score mask: int32 for each position of the context, −2^30 until the position
  /// holds a token, then 2^31 − 1. Before it stand one such number less than a batch has tokens, all
  /// 2^31 − 1: the mask of a batch's row `t` starts `t` numbers earlier, and so shows `t` positions more.
  var mask = 0
  /// The byte offset of the multipliers of the tokens' embeddings.
  var multipliers = 0
  /// The byte offset of the rows of the embedding table that a batch reads.
  var embeddings = 0
  /// Heads of all caches, which lie one after the other from the first byte.
  var cacheHeads = 0
  /// All bytes.
  var bytes = 0

  /// The layout of a graph's states, for batches of `tokens`, whose embeddings have rows of `rowBytes`.
  init(_ graph: Graph, tokens: Int, rowBytes: Int) {
    func padded(_ bytes: Int) -> Int { (bytes + 15) / 16 * 16 }
    for (index, state) in graph.states.enumerated() {
      offsets[StateID(index)] = bytes
      bytes += padded(state.type.byteCount)
      cacheHeads += state.type.shape[0]
    }
    mask = bytes + padded((tokens - 1) * 4)
    bytes = mask + padded((graph.states.first?.type.shape[1] ?? 0) * 4)
    multipliers = bytes
    bytes += padded(tokens * 4)
    embeddings = bytes
    // One token's row is read where it is.
    if tokens > 1 { bytes += tokens * padded(rowBytes) }
  }
}

/// Collects kernels and hands out pieces of the scratch.
struct KernelSequence {
  private(set) var commands: [JobCommand] = []
  private let scratch: Int
  private var used = 0

  /// A sequence whose scratch starts at an offset of the arena.
  init(scratch: Int) { self.scratch = scratch }

  /// The next piece of scratch, as a map without gaps.
  mutating func map(
    _ element: ElementType, _ height: Int, _ width: Int, _ depth: Int
  ) -> NPUTensor {
    let tensor = NPUTensor(.arena, scratch + used, element, height, width, depth)
    used += (height * width * depth * element.byteCount + 15) / 16 * 16
    return tensor
  }

  /// Gives the scratch to kernels that need nothing of what lies there.
  mutating func reuseScratch() { used = 0 }

  /// Loads a table for the kernels that follow.
  mutating func table(_ place: NPUTensor) { commands.append(.table(place)) }

  /// One or two operands, element by element. Without a second one the operation takes one.
  mutating func elementwise(
    _ mode: ISA.ElementwiseMode, _ a: NPUTensor, _ b: NPUKernel.Second?, _ out: NPUTensor,
    multiplier: UInt32 = 1, shift: Int = 0, minimum: Int? = nil, usesTable: Bool = false,
    swapped: Bool = false
  ) {
    commands.append(
      .kernel(
        NPUKernel(
          work: .elementwise(mode), ifm: a, second: b, ofm: out, multiplier: multiplier,
          shift: shift, minimum: minimum, usesTable: usesTable, isSwapped: swapped)))
  }

  /// A pooling.
  mutating func pool(
    _ work: NPUKernel.Work, _ from: NPUTensor, _ to: NPUTensor, multiplier: UInt32 = 1,
    shift: Int = 0
  ) {
    commands.append(
      .kernel(
        NPUKernel(work: work, ifm: from, ofm: to, multiplier: multiplier, shift: shift)))
  }
}

/// Reads one operation's operands as feature maps, with an error where they are not what it needs.
struct OperandReader {
  let lowering: OperationLowering
  let operation: Operation

  func malformed(_ what: String) -> DiagnosticError {
    DiagnosticError(
      "codegen.malformed", "\(operation.code.rawValue) \(what)",
      at: SourceLocation(element: operation.provenance.source))
  }

  private func operand(_ index: Int) throws(DiagnosticError) -> Operand {
    guard operation.operands.indices.contains(index) else {
      throw malformed("lacks operand \(index)")
    }
    return operation.operands[index]
  }

  /// The type of any operand.
  func type(_ index: Int) throws(DiagnosticError) -> TensorType {
    lowering.graph.type(of: try operand(index), in: lowering.function)
  }

  private func map(_ id: ValueID) throws(DiagnosticError) -> NPUTensor {
    let type = lowering.function[id].type
    guard let offset = lowering.plan.offsets[id], type.shape.rank == 2 else {
      throw malformed("works on a value without a buffer")
    }
    return NPUTensor(.arena, offset, type.element, 1, type.shape[0], type.shape[1])
  }

  /// A value: rows as columns of the map, channels as channels.
  func value(_ index: Int) throws(DiagnosticError) -> NPUTensor {
    guard case .value(let id) = try operand(index) else {
      throw malformed("operand \(index) is not a value")
    }
    return try map(id)
  }

  /// The result.
  func result() throws(DiagnosticError) -> NPUTensor {
    guard let id = operation.results.first else { throw malformed("has no result") }
    return try map(id)
  }

  /// The constant that an operand is.
  func constantID(_ index: Int) throws(DiagnosticError) -> ConstantID {
    guard case .constant(let id) = try operand(index) else {
      throw malformed("operand \(index) is not a constant")
    }
    return id
  }

  /// A constant in the params region, as one row.
  func constant(_ index: Int, _ params: inout ParamsBuilder) throws(DiagnosticError) -> NPUTensor {
    let id = try constantID(index)
    let place = try params.place(id, of: lowering.graph)
    let type = lowering.graph[id].type
    return NPUTensor(.params, place.offset, type.element, 1, 1, type.shape.count)
  }

  /// A state, as rows of heads.
  func state(_ index: Int) throws(DiagnosticError) -> NPUTensor {
    guard case .state(let id) = try operand(index),
      let offset = lowering.state.offsets[id]
    else { throw malformed("operand \(index) is not a state") }
    let shape = lowering.graph[id].type.shape
    return NPUTensor(.state, offset, .int8, shape[0], shape[1], shape[2])
  }

  /// An integer attribute.
  func attribute(_ name: String) throws(DiagnosticError) -> Int {
    guard let value = operation.int(name), value >= 0 else {
      throw malformed("lacks attribute \(name)")
    }
    return value
  }
}
