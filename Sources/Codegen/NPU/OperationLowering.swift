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
  /// Positions that attention looks at: all of the context, or what the function is made for.
  let positions: Int

  /// The commands of an operation that is no linear layer, or of some that run as one, at `time` (their place
  /// in the schedule).
  func commands(
    _ operations: [Operation], time: Int, params: inout ParamsBuilder, tables: inout ParamsBuilder
  ) throws(DiagnosticError) -> [JobCommand] {
    guard let operation = operations.first else { return [] }
    let reader = OperandReader(lowering: self, operations: operations)
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
    case .attention: try lowerAttention(reader, &params, &body)
    case .embedding:
      try lowerEmbedding(reader, &params, &tables, &body)
      if state.cacheWidth > 0 { try lowerSelection(&params, &body) }
      if let rope = function.operations.first(where: { $0.code == .rope }) {
        try lowerTurns(OperandReader(lowering: self, operations: [rope]), &params, &body)
      }
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

  /// The scratch a step needs while it runs.
  static func scratchBytes(
    _ step: FusedOperation, of function: Function, in graph: Graph, state: StateLayout
  ) -> Int {
    let operations = step.operations.map { function.operations[$0] }
    guard let operation = operations.first else { return 0 }
    func type(_ index: Int) -> TensorType? {
      guard operation.operands.indices.contains(index) else { return nil }
      return graph.type(of: operation.operands[index], in: function)
    }
    switch operation.code {
    case .rmsNorm:
      guard let x = type(0) else { return 0 }
      return NormScratch(rows: x.shape[0], width: x.shape[1]).bytes
    case .rope:
      return RotationScratch(
        count: operations.flatMap(\.results).reduce(0) { $0 + function[$1].type.shape.count }
      ).bytes
    case .kvWrite:
      guard let x = type(0) else { return 0 }
      let streams = [state.caches.keys.stream, state.caches.values.stream]
      return CacheWriteScratch(
        rows: x.shape[0], width: x.shape[1], isPacked: streams.contains { $0.bits == 4 }
      ).bytes
    case .attention:
      guard let heads = operation.int("heads"), let kvHeads = operation.int("kv_heads"),
        kvHeads > 0,
        let headDim = operation.int("head_dim")
      else { return 0 }
      return AttentionScratch(
        heads: heads, headDim: headDim,
        sums: state.shared(heads: heads, kvHeads: kvHeads).rowPitch,
        pitch: state.caches.scorePitch, batch: type(0)?.shape[0] ?? 1
      ).bytes
    case .embedding:
      guard let result = operation.results.first else { return 0 }
      return Self.embeddingScratch(
        resultBytes: function[result].type.byteCount, isPacked: type(1)?.element == .int4)
        + Self.selectionScratch
    case .linear, .layerNorm, .silu, .gelu, .lut, .mul, .add, .reshape, .transpose, .expand, .slice,
      .concat, .matmul, .scale, .negate,
      .softmax, .causalMask, .positionRows, .cacheWrite, .cacheRead:
      return 0
    }
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

  /// The same numbers elsewhere, or of another type.
  mutating func copy(_ from: NPUTensor, to: NPUTensor) {
    elementwise(.mul, from, .constant(1), to)
  }

  /// One or two operands, element by element. Without a second one the operation takes one.
  mutating func elementwise(
    _ mode: ISA.ElementwiseMode, _ a: NPUTensor, _ b: NPUKernel.Second?, _ out: NPUTensor,
    multiplier: UInt32 = 1, shift: Int = 0, minimum: Int? = nil, maximum: Int? = nil,
    zeroPoint: Int = 0, secondScale: Int = 1, usesTable: Bool = false, swapped: Bool = false
  ) {
    commands.append(
      .kernel(
        NPUKernel(
          work: .elementwise(mode), ifm: a, second: b, ofm: out, multiplier: multiplier,
          shift: shift, minimum: minimum, maximum: maximum, zeroPoint: zeroPoint,
          secondScale: secondScale, usesTable: usesTable, isSwapped: swapped)))
  }

  /// A convolution over the caches' numbers, whose streams of `form` start at a byte of the state region.
  mutating func convolve(
    _ from: NPUTensor, _ form: StreamForm, at offset: Int, _ records: NPUTensor,
    minimum: Int? = nil, _ to: NPUTensor
  ) {
    commands.append(
      .cached(
        CachedConvolution(
          convolution: NPUConvolution(
            ifm: from, ofm: to,
            streams: WeightStreams(
              scales: (.params, records.offset, records.shape.depth), weights: (.state, offset),
              streamBytes: [form.bytes], isFast: form.stream.isFast), minimum: minimum),
          blockDepth: form.blockDepth, microblock: form.microblock)))
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

/// Reads an operation's operands as feature maps, with an error where they are not what it needs.
struct OperandReader {
  let lowering: OperationLowering
  /// The operation.
  let operation: Operation
  /// Those that run with it: their first operands and their results continue its own.
  private let others: [Operation]

  /// A reader of operations that run as one, at least one.
  init(lowering: OperationLowering, operations: [Operation]) {
    self.lowering = lowering
    operation = operations[0]
    others = Array(operations.dropFirst())
  }

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
    guard let place = lowering.plan.places[id], type.shape.rank == 2 else {
      throw malformed("works on a value without a buffer")
    }
    var map = NPUTensor(.arena, place.offset, type.element, 1, type.shape[0], type.shape[1])
    map.strideX = place.pitch
    map.strideY = place.pitch * type.shape[0]
    return map
  }

  /// Values side by side as one.
  private func map(_ first: ValueID, _ others: [ValueID?]) throws(DiagnosticError) -> NPUTensor {
    var map = try map(first)
    for other in others {
      guard let next = try other.map(self.map),
        next.offset == map.offset + map.shape.depth * map.element.byteCount,
        next.strideX == map.strideX, next.element == map.element
      else { throw malformed("runs with another whose values are elsewhere") }
      map.shape.depth += next.shape.depth
    }
    return map
  }

  /// A value: rows as columns of the map, channels as channels.
  func value(_ index: Int) throws(DiagnosticError) -> NPUTensor {
    guard case .value(let id) = try operand(index) else {
      throw malformed("operand \(index) is not a value")
    }
    return try map(
      id,
      others.map {
        guard index == 0, case .value(let id)? = $0.operands.first else { return nil }
        return id
      })
  }

  /// The result.
  func result() throws(DiagnosticError) -> NPUTensor {
    guard let id = operation.results.first else { throw malformed("has no result") }
    return try map(id, others.map(\.results.first))
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

  /// The state that an operand is.
  func stateID(_ index: Int) throws(DiagnosticError) -> StateID {
    guard case .state(let id) = try operand(index) else {
      throw malformed("operand \(index) is not a state")
    }
    return id
  }

  /// The byte offset of a state in its region.
  func stateOffset(_ index: Int) throws(DiagnosticError) -> Int {
    guard let offset = lowering.state.offsets[try stateID(index)] else {
      throw malformed("operand \(index) is no cache of an attention")
    }
    return offset
  }

  /// An integer attribute.
  func attribute(_ name: String) throws(DiagnosticError) -> Int {
    guard let value = operation.int(name), value >= 0 else {
      throw malformed("lacks attribute \(name)")
    }
    return value
  }
}
