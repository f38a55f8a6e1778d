import EthosUISA
import GraphIR
import NPUTiming
import ProgramFormat
import Support
import TargetModel
import TensorCore

/// Turns an integer graph into the program of a target.
public struct ProgramCompiler {
  /// What to compile for and how.
  public struct Options: Sendable {
    /// Raw weights of a depth slice to aim at. Small slices start computing early and need little
    /// staging memory; each costs a transfer's latency and some 60 bytes of command stream.
    public var sliceBytes = 16 << 10
    /// How many tokens `prefill` runs at once.
    public var batch = BatchChoice.asGiven
    /// Bytes of weights that may live in fast memory when not all have room there; nil is what is free, less
    /// an eighth of the memory for the application.
    public var residentBytes: Int?
    /// Bytes of weights that may live in a memory nearer than that of the others and not on the chip's RAM, such
    /// as MRAM beside flash; nil is what can be read while the others are, of what is free, less an eighth of the
    /// memory for the application.
    public var nearBytes: Int?
    /// Tokens of a fixed beginning of all texts to reserve room for, in the weights region.
    public var prefixTokens = 0

    /// The defaults.
    public init() {}
  }

  /// Facts of the model that the manifest repeats.
  public struct ModelFacts: Sendable {
    /// The name.
    public var name: String
    /// Such as `llama`.
    public var architecture: String
    /// How many weights the model has.
    public var parameters: Int
    /// The recipe's name.
    public var quant: String
    /// The id before a prompt, if any.
    public var bos: Int?
    /// The id that ends a text, if any.
    public var eos: Int?
    /// The tokenizer's binary form.
    public var tokenizer: [UInt8]

    /// Facts of the model.
    public init(
      name: String, architecture: String, parameters: Int, quant: String, bos: Int?, eos: Int?,
      tokenizer: [UInt8]
    ) {
      self.name = name
      self.architecture = architecture
      self.parameters = parameters
      self.quant = quant
      self.bos = bos
      self.eos = eos
      self.tokenizer = tokenizer
    }
  }

  let target: Target
  let accelerator: Accelerator
  let options: Options

  /// A compiler for a target.
  ///
  /// Throws `DiagnosticError` when the target's NPU is none we compile for.
  public init(target: Target, options: Options = Options()) throws(DiagnosticError) {
    self.target = target
    self.options = options
    let supported = Accelerator.all.filter { $0.product != .u65 }
    guard let accelerator = supported.first(where: { $0.name == target.npu.variant }) else {
      throw DiagnosticError(
        "target.npu",
        "\(target.name) has an \(target.npu.variant), which has no code generator yet",
        notes: ["supported: " + supported.map(\.name).joined(separator: ", ")],
        wayOut: "a target with one of these (swiftlet targets)")
    }
    self.accelerator = accelerator
  }

  /// One function, its arena planned.
  struct Scheduled {
    let function: Function
    let schedule: [FusedOperation]
    let plan: BufferPlan
    var tokens: Int { function.tokens }
  }

  /// The functions with one size of batches, and what memory they take.
  struct Candidate {
    let scheduled: [Scheduled]
    let state: StateLayout
    /// Batches start at multiples of this.
    let alignment: Int
    /// Positions that batches near the beginning look at; nil where that is all.
    let nearPositions: Int?
    let arena: Int
    /// The most that is alive in it at once.
    var arenaBound: Int { scheduled.map(\.plan.lowerBound).max() ?? 0 }
    /// The memory of each region whose size is known before weights are encoded.
    let places: [String]
    let isInPlace: Bool
  }

  /// Compiles the functions `decode` and, when there is one, `prefill`.
  ///
  /// Throws `DiagnosticError` when the graph is not in integer form or the target cannot hold it.
  public func compile(
    _ graph: Graph, facts: ModelFacts, progress: (Int, Int) -> Void = { _, _ in }
  ) throws(DiagnosticError) -> Program {
    guard let decode = graph.function("decode") else {
      throw DiagnosticError("codegen.decode", "the graph has no function 'decode'")
    }
    let candidates = try candidates(graph, decode: decode)
    let tiling = LinearTiling(accelerator: accelerator)
    var fetch = fetch(candidates[0], graph)
    fetch.rooms = rooms(candidates, graph, fetch)
    let packer = WeightPacker(
      graph: graph, accelerator: accelerator, tiling: tiling, sliceBytes: fetch.sliceBytes,
      staging: fetch.staging, rooms: fetch.rooms.bytes)
    let packed = try packer.pack(linearGroups(candidates[0].scheduled), progress: progress)
    fetch.staging?.stride = (packed.largestSlice + 15) / 16 * 16

    let choice = try choice(of: candidates) { candidate throws(DiagnosticError) in
      try lower(candidate, graph: graph, packed: packed, tiling: tiling, fetch: fetch)
    }
    let manifest = try self.manifest(graph: graph, facts: facts, of: choice, packed: packed)
    return Program(
      manifest: manifest, commands: ByteSource(choice.emitted.commands),
      steps: choice.emitted.words,
      weights: ByteSource(packed.content(of: .weights) + choice.tables.content()),
      near: ByteSource(packed.content(of: .near)),
      params: ByteSource(packed.content(of: .params) + choice.params.content()),
      tokenizer: ByteSource(facts.tokenizer))
  }

  /// Lowers the candidate to compile for. Two small ones tell what others cost, so that large ones are
  /// lowered only to be used.
  private func choice(
    of candidates: [Candidate], lower: (Candidate) throws(DiagnosticError) -> Lowered
  ) throws(DiagnosticError) -> Lowered {
    let first = try lower(candidates[0])
    guard case .fastest(let promptTokens) = options.batch, candidates.count > 1,
      let second = try? lower(candidates[1]), let one = first.cost, let two = second.cost
    else { return first }
    let costs = candidates.map {
      BatchChoice.Cost(tokens: $0.scheduled[1].tokens, between: one, and: two)
    }
    let tokens = BatchChoice.best(of: costs, promptTokens: promptTokens)
    // What is too long for a stream, or pushes a region into another memory, is not taken.
    for candidate in candidates.dropFirst(2).reversed() {
      guard let tokens, candidate.scheduled[1].tokens <= tokens,
        let lowered = try? lower(candidate), lowered.memories == first.memories
      else { continue }
      return lowered
    }
    return two.tokens == tokens && second.memories == first.memories ? second : first
  }

  /// The sizes of batches to compile for, with arenas planned; never empty. None of them makes weights
  /// live elsewhere than the first.
  ///
  /// Throws `DiagnosticError` when the target cannot hold the first.
  private func candidates(
    _ graph: Graph, decode: Function
  ) throws(DiagnosticError) -> [Candidate] {
    let fusion = try HorizontalFusion(decode, of: graph)
    func candidate(_ prefill: Function?) throws(DiagnosticError) -> Candidate {
      let functions = [decode] + (prefill.map { [$0] } ?? [])
      let state = try StateLayout(
        graph, tokens: prefill?.tokens ?? 1, rowBytes: Self.embeddingBytes(decode, of: graph),
        accelerator: accelerator)
      let alignment = try state.alignment(of: prefill?.tokens ?? 1)
      let scheduled = try functions.map { function throws(DiagnosticError) in
        let schedule = try fusion.schedule(function)
        return Scheduled(
          function: function, schedule: schedule,
          plan: BufferPlan(function: function, schedule: schedule) {
            OperationLowering.scratchBytes($0, of: function, in: graph, state: state)
          })
      }
      let arena = scheduled.map(\.plan.bytes).max() ?? 0
      // Nothing is encoded for a target that cannot hold the parts whose size is already known.
      let plan = try MemoryPlan(
        sizes: [.arena: arena, .state: state.bytes], target: target,
        advice: { SizeAdvice(state: state).text($0, room: $1) })
      return Candidate(
        scheduled: scheduled, state: state, alignment: alignment,
        nearPositions: Self.nearPositions(state.caches.context, batch: prefill?.tokens ?? 1),
        arena: arena,
        places: plan.entries.map(\.memory),
        isInPlace: weightsFitOnChip(graph, arena: arena, state: state.bytes))
    }
    guard let prefill = graph.function("prefill") else { return [try candidate(nil)] }
    guard case .fastest = options.batch else { return [try candidate(prefill)] }
    let context = graph.states.first?.type.shape[1] ?? 0
    var made: [Candidate] = []
    for tokens in BatchChoice.candidates where tokens <= context {
      guard let next = try? candidate(prefill.batched(tokens)) else { break }
      if let first = made.first,
        first.places != next.places || first.isInPlace != next.isInPlace
      {
        break
      }
      made.append(next)
    }
    return made.isEmpty ? [try candidate(nil)] : made
  }

  /// Positions that most prompts do not leave, where that is much less than the context.
  private static func nearPositions(_ context: Int, batch: Int) -> Int? {
    let positions = max(context / 4 / 64 * 64, 64)
    return batch > 1 && batch <= positions && positions <= context / 2 ? positions : nil
  }

  /// Bytes of a function's embedding table, if it has eight bits.
  private static func wideTable(_ function: Function, of graph: Graph) -> Int {
    guard let operation = function.operations.first(where: { $0.code == .embedding }),
      operation.operands.count > 1
    else { return 0 }
    let table = graph.type(of: operation.operands[1], in: function)
    return table.element == .int8 ? table.byteCount : 0
  }

  /// Bytes of a row of the table of a function's embeddings.
  private static func embeddingBytes(_ function: Function, of graph: Graph) -> Int {
    guard let operation = function.operations.first(where: { $0.code == .embedding }),
      operation.operands.count > 1
    else { return 0 }
    let table = graph.type(of: operation.operands[1], in: function)
    let columns = table.shape.dimensions.last ?? 0
    return table.element == .int4 ? (columns + 1) / 2 : columns
  }

  /// A candidate's bytes, and what they cost.
  private struct Lowered {
    let candidate: Candidate
    let emitted: Emitted
    let params: ParamsBuilder
    /// What the runtime or a base pointer picks rows of is kept apart from what the NPU reads again and
    /// again.
    let tables: ParamsBuilder
    /// What the state region starts with.
    let fills: [Manifest.Fill]
    let sizes: [Region: Int]
    let memory: MemoryPlan
    let decode: DecodeEstimate
    /// Of batches; nil without any.
    let cost: BatchChoice.Cost?
    /// Cycles of a batch near the beginning; nil where it has no job of its own.
    let nearCycles: Int?

    /// The memory of every region.
    var memories: [String] { memory.entries.map(\.memory) }
  }

  private func lower(
    _ candidate: Candidate, graph: Graph, packed: WeightPacker.Result, tiling: LinearTiling,
    fetch: Fetch
  ) throws(DiagnosticError) -> Lowered {
    var params = ParamsBuilder(region: .params, start: packed.content(of: .params).count)
    var tables = ParamsBuilder(region: .weights, start: packed.content(of: .weights).count)
    // Slices on their way lie behind everything else.
    var fetch = fetch
    fetch.staging?.start = (candidate.arena + 15) / 16 * 16
    var emitted = Emitted()
    for entry in candidate.scheduled {
      try emit(
        entry, graph: graph, state: candidate.state, packed: packed, tiling: tiling,
        fetch: fetch, params: &params, tables: &tables, into: &emitted)
    }
    let withoutNear = emitted
    if let positions = candidate.nearPositions {
      try emit(
        candidate.scheduled[1], near: positions, graph: graph, state: candidate.state,
        packed: packed, tiling: tiling, fetch: fetch, params: &params, tables: &tables,
        into: &emitted)
    }
    let fills = try fills(candidate.state, &tables)
    let sizes: [Region: Int] = [
      .weights: tables.bytes, .arena: fetch.staging?.end ?? candidate.arena,
      .near: packed.content(of: .near).count, .state: candidate.state.bytes,
      .params: params.bytes,
    ]
    let memory = try MemoryPlan(
      sizes: sizes, target: target, keepsStateApart: fetch.rooms.keepsStateApart,
      advice: {
        SizeAdvice(
          state: candidate.state, packed: packed, tables: tables.bytes,
          wideTable: Self.wideTable(candidate.scheduled[0].function, of: graph)
        ).text($0, room: $1)
      })
    var decode = DecodeEstimate(accelerator: accelerator, regions: memory.entries)
    decode.add(emitted.events[0])
    for (region, bytes) in emitted.decodeBytes {
      decode.read(bytes, in: region, isInPlace: candidate.isInPlace || region != .weights)
    }
    var cost: BatchChoice.Cost?
    var nearCycles: Int?
    if candidate.scheduled.count > 1 {
      let batches = emitted.events.dropFirst().map { events in
        var batch = DecodeEstimate(accelerator: accelerator, regions: memory.entries)
        batch.add(events)
        return batch.cycles
      }
      cost = BatchChoice.Cost(
        tokens: candidate.scheduled[1].tokens, batch: batches[0], decode: decode.cycles)
      // A job that saves little is not worth its bytes.
      nearCycles = batches.dropFirst().first { $0 * 10 <= batches[0] * 9 }
      if nearCycles == nil { emitted = withoutNear }
    }
    return Lowered(
      candidate: candidate, emitted: emitted, params: params, tables: tables, fills: fills,
      sizes: sizes, memory: memory, decode: decode, cost: cost, nearCycles: nearCycles)
  }

  /// Places what the state region starts with in the weights region, with room for a prefix's part.
  private func fills(
    _ state: StateLayout, _ tables: inout ParamsBuilder
  ) throws(DiagnosticError) -> [Manifest.Fill] {
    var fills: [Manifest.Fill] = []
    for piece in state.initialContent {
      fills.append(
        Manifest.Fill(
          offset: piece.offset, stride: piece.stride, count: piece.count,
          source: try tables.place(piece.content, "stream"), sourceStride: 0,
          bytes: piece.content.count))
    }
    for row in state.prefixRows(options.prefixTokens) {
      fills.append(
        Manifest.Fill(
          offset: row.offset, stride: row.stride, count: row.count,
          source: try tables.reserve(bytes: row.count * row.bytes), sourceStride: row.bytes,
          bytes: row.bytes))
    }
    return fills
  }

  /// What the functions' emission has produced so far.
  private struct Emitted {
    var words: [UInt32] = []
    var entries: [Manifest.Entry] = []
    var jobs: [Manifest.Job] = []
    var commands: [UInt8] = []
    /// What each function's job consists of.
    var events: [[IssueEvent]] = []
    /// Encoded bytes that a decode step reads, by region.
    var decodeBytes: [Region: Int] = [:]
  }

  /// What the runtime sets for each token.
  private func position(_ lowered: Lowered) throws(DiagnosticError) -> Manifest.Position {
    let (params, tables) = (lowered.params, lowered.tables)
    let state = lowered.candidate.state
    var position = Manifest.Position(
      maskOffset: state.mask, rotationOffset: params.rotation?.offset ?? 0,
      rotationRowBytes: params.rotation?.rowBytes ?? 0, rotationPlace: state.rotations,
      values: try state.valuePlace(), keys: try state.keyPlace(),
      embeddingOffset: tables.embedding?.offset ?? 0,
      embeddingRowBytes: tables.embedding?.rowBytes ?? 0,
      multiplierOffset: tables.embedding?.multipliers ?? 0, multiplierPlace: state.multipliers,
      embeddingPlace: state.embeddings,
      // Whoever asks for a size gets it.
      prefillFrom: lowered.cost.map {
        options.batch == .asGiven ? min($0.from, $0.tokens) : $0.from
      }
        ?? 0)
    position.fills = lowered.fills
    position.selectionPlace = state.selection
    position.validityPlace = state.validity
    position.prefillAlignment = lowered.candidate.alignment
    if lowered.nearCycles != nil {
      position.nearPositions = lowered.candidate.nearPositions ?? 0
    }
    return position
  }

  /// The linear layers in order of first use, each once.
  private func linearGroups(_ scheduled: [Scheduled]) -> [LinearGroup] {
    var seen = Set<LinearGroup>()
    return scheduled.flatMap(\.schedule).compactMap(\.linear).filter { seen.insert($0).inserted }
  }

  /// Adds a function's job: all of it, or for batches that end within the first `near` positions.
  private func emit(
    _ entry: Scheduled, near: Int? = nil, graph: Graph, state: StateLayout,
    packed: WeightPacker.Result,
    tiling: LinearTiling, fetch: Fetch, params: inout ParamsBuilder,
    tables: inout ParamsBuilder, into out: inout Emitted
  ) throws(DiagnosticError) {
    let firstWord = out.words.count
    let isDecode = entry.function.name == "decode"
    let lowering = OperationLowering(
      graph: graph, function: entry.function, plan: entry.plan, state: state,
      positions: near ?? state.caches.context)
    var emitter = JobEmitter(
      accelerator: accelerator, staging: fetch.staging, memories: fetch.memories)
    var fused: [String: [Manifest.FusedLayer]] = [:]
    for (time, step) in entry.schedule.enumerated() {
      var commands: [JobCommand] = []
      let operations = step.operations.map { entry.function.operations[$0] }
      let source = Provenance.joined(operations.map(\.provenance.source))
      if let group = step.linear {
        let linear = try jobLinear(
          step, group, named: source, lowering, packed: packed, tiling: tiling)
        commands = [.linear(linear)]
        if operations.count > 1 {
          fused[source] = zip(operations, group.parts).map {
            Manifest.FusedLayer(
              name: $0.provenance.source, channels: graph[$1.weight].type.shape[0])
          }
        }
        if isDecode {
          for slice in linear.packed.slices {
            out.decodeBytes[slice.region, default: 0] += slice.bytes
          }
        }
      } else {
        commands = try lowering.commands(operations, time: time, params: &params, tables: &tables)
      }
      emitter.add(commands, for: source)
    }
    let name = entry.function.name + (near == nil ? "" : "_near")
    let words = try emitter.finish(for: name)
    guard let payload = DriverPayload.encode(stream: words, for: accelerator) else {
      throw DiagnosticError(
        "codegen.stream-too-long",
        "the job's stream has \(words.count) words, the hardware takes "
          + "\(DriverPayload.wordLimit)", at: SourceLocation(element: name),
        wayOut: isDecode ? nil : "a smaller --prefill batch")
    }
    out.events.append(emitter.events)
    out.commands += repeatElement(0, count: (16 - out.commands.count % 16) % 16)
    out.words += Step(.npuJob, [UInt32(out.jobs.count)]).words
    out.jobs.append(
      Manifest.Job(
        name: name, offset: out.commands.count, bytes: payload.count,
        provenance: emitter.provenance))
    if isDecode, !fused.isEmpty { out.jobs[out.jobs.count - 1].fused = fused }
    out.commands += payload
    out.entries.append(
      Manifest.Entry(
        name: name, tokens: entry.tokens, firstWord: firstWord,
        words: out.words.count - firstWord))
  }

  private func jobLinear(
    _ step: FusedOperation, _ group: LinearGroup, named name: String,
    _ lowering: OperationLowering, packed: WeightPacker.Result, tiling: LinearTiling
  ) throws(DiagnosticError) -> JobLinear {
    guard let layer = packed.layers[group],
      let part = step.parts.first(where: { $0.operation != nil }), let first = part.operation
    else {
      throw DiagnosticError(
        "codegen.linear", "has no packed weights", at: SourceLocation(element: name))
    }
    let reader = OperandReader(
      lowering: lowering, operations: [lowering.function.operations[first]])
    let input = try reader.value(0)
    // The whole group's channels, whichever of them have a use.
    var output = try reader.result()
    output.offset -= part.firstByte
    output.shape.depth = layer.outputs
    guard
      let block = tiling.block(
        tokens: input.shape.width, inputs: layer.inputs, depth: layer.blockDepth,
        bits: group.inputBits)
    else {
      throw DiagnosticError(
        "codegen.block",
        "no legal block for \(input.shape.width) tokens and depth \(layer.blockDepth)",
        at: SourceLocation(element: name))
    }
    return JobLinear(packed: layer, block: block, input: input, output: output, name: name)
  }

  private func manifest(
    graph: Graph, facts: ModelFacts, of lowered: Lowered, packed: WeightPacker.Result
  ) throws(DiagnosticError) -> Manifest {
    let decode = lowered.candidate.scheduled[0]
    let (emitted, memory) = (lowered.emitted, lowered.memory)
    guard let logits = decode.function.results.first,
      let offset = decode.plan.places[logits]?.offset,
      decode.function[logits].type.element == .int16,
      let scale = decode.function[logits].type.quant?.scale()
    else { throw DiagnosticError("codegen.logits", "decode must end in int16 logits") }
    let onChip = memory.entries.filter {
      memory.memories[Region.allCases[$0.index]]?.kind.isOnChipRAM == true
    }
    let readOnly =
      Region.allCases.filter(\.isConstant).reduce(0) { $0 + (lowered.sizes[$1] ?? 0) }
      + emitted.commands.count + emitted.words.count * 4 + facts.tokenizer.count
    let context = graph.states.first?.type.shape[1] ?? 0
    let position = try position(lowered)
    let steps = Step.decode(emitted.words) ?? []
    var manifest = Manifest(
      model: Manifest.Model(
        name: facts.name, architecture: facts.architecture, parameters: facts.parameters,
        vocabulary: decode.function[logits].type.shape.count,
        context: context, bos: facts.bos, eos: facts.eos),
      target: target.name, npu: accelerator.name, npuClock: target.npu.clock.value,
      cpuClock: target.cpu.clock.value, quant: facts.quant, regions: memory.entries,
      entries: emitted.entries, jobs: emitted.jobs,
      logits: Manifest.Logits(offset: offset, scale: scale), position: position, files: [],
      report: Manifest.Report(
        sramPeakBytes: onChip.reduce(0) { $0 + $1.bytes },
        sramBoundBytes: onChip.reduce(0) {
          $0 + $1.bytes
            - ($1.index == Region.arena.rawValue
              ? lowered.candidate.arena - lowered.candidate.arenaBound : 0)
        }, flashBytes: readOnly,
        weightStreamBytes: packed.streamBytes, residentBytes: packed.content(of: .params).count,
        weightCount: packed.weightCount,
        transposes: lowered.candidate.scheduled.reduce(0) {
          $0 + $1.function.operations.count { $0.code.isMovement }
        },
        cpuOps: steps.count { $0.kernel != .npuJob }, decodeCycles: lowered.decode.cycles,
        decodeTraffic: lowered.decode.traffic,
        decodeCPUCycles: CPUCost.cycles(
          tokens: 1, embeddingBytes: position.embeddingRowBytes,
          rotationBytes: position.rotationRowBytes),
        decodeBoundCycles: lowered.decode.bound, prefillCycles: lowered.cost?.batch ?? 0))
    manifest.report.nearCycles = lowered.nearCycles ?? 0
    let caches = lowered.candidate.state.caches
    manifest.report.caches = Manifest.Caches(
      bytes: lowered.candidate.state.cacheBytes, keyBits: caches.keys.stream.bits,
      valueBits: caches.values.stream.bits)
    manifest.energy = Manifest.EnergyCosts(
      mac: target.npu.macEnergy.value, cycle: target.npu.cycleEnergy.value,
      bytes: Dictionary(
        uniqueKeysWithValues: target.memories.map { ($0.name, $0.byteEnergy.value) }))
    return manifest
  }
}
