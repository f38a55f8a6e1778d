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

  private let target: Target
  private let accelerator: Accelerator
  private let options: Options

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

  /// One function, scheduled and with its arena planned.
  private struct Scheduled {
    let function: Function
    let steps: [ScheduledStep]
    let plan: BufferPlan
    let tokens: Int
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
    let functions = [decode] + (graph.function("prefill").map { [$0] } ?? [])
    let scheduled = functions.map { function in
      let steps = StepSchedule.steps(of: function)
      return Scheduled(
        function: function, steps: steps,
        plan: BufferPlan(function: function, order: steps.flatMap(\.operations)) {
          OperationLowering.scratchBytes($0, of: function, in: graph)
        }, tokens: function.inputs.first.map { function[$0].type.shape.count } ?? 1)
    }

    // Nothing is encoded for a target that cannot hold the parts whose size is already known.
    let state = StateLayout(graph)
    let arena = scheduled.map(\.plan.bytes).max() ?? 0
    _ = try MemoryPlan(sizes: [.arena: arena, .state: state.bytes], target: target)

    let tiling = LinearTiling(accelerator: accelerator)
    let keys = try linearKeys(scheduled, graph)
    let isInPlace = weightsFitOnChip(graph, arena: arena, state: state.bytes)
    let (system, sliceBytes, planned) = slices(
      graph, isInPlace: isInPlace, arena: arena, state: state.bytes)
    var staging = planned
    let packer = WeightPacker(
      graph: graph, accelerator: accelerator, tiling: tiling,
      sliceBytes: sliceBytes, staging: staging)
    let packed = try packer.pack(keys, progress: progress)
    staging?.stride = (packed.largestSlice + 15) / 16 * 16

    var params = ParamsBuilder(region: .params)
    // What the CPU reads a row of is kept apart from what the NPU reads again and again.
    var tables = ParamsBuilder(region: .weights, start: packed.content.count)
    var emitted = Emitted()
    for entry in scheduled {
      try emit(
        entry, graph: graph, state: state, packed: packed, tiling: tiling,
        staging: staging, system: system, params: &params, tables: &tables, into: &emitted)
    }

    let sizes: [Region: Int] = [
      .weights: tables.bytes, .arena: arena,
      .staging: (staging?.buffers ?? 0) * (staging?.stride ?? 0),
      .state: state.bytes, .params: params.bytes,
    ]
    let memory = try MemoryPlan(sizes: sizes, target: target)
    let manifest = try self.manifest(
      graph: graph, facts: facts, decode: scheduled[0], emitted: emitted, packed: packed,
      memory: memory, sizes: sizes, position: position(state, params, tables))
    return Program(
      manifest: manifest, commands: ByteSource(emitted.commands), steps: emitted.words,
      weights: ByteSource(packed.content + tables.content()), params: ByteSource(params.content()),
      tokenizer: ByteSource(facts.tokenizer))
  }

  /// What the functions' emission has produced so far.
  private struct Emitted {
    var words: [UInt32] = []
    var entries: [Manifest.Entry] = []
    var jobs: [Manifest.Job] = []
    var commands: [UInt8] = []
    /// What a decode step consists of.
    var decodeJobs: [[IssueEvent]] = []
    var decodeBytes = 0
    var decodeKernels: [Step] = []
  }

  /// Whether all weights have room in fast memory, where convolutions can read them without a copy. By
  /// their raw size, because their encoding depends on the answer.
  private func weightsFitOnChip(_ graph: Graph, arena: Int, state: Int) -> Bool {
    let raw = graph.constants.reduce(0) { $0 + $1.type.byteCount }
    let sizes: [Region: Int] = [.arena: arena, .state: state, .weights: raw + raw / 8]
    let plan = try? MemoryPlan(sizes: sizes, target: target)
    return plan?.memories[.weights]?.kind.isOnChipRAM == true
  }

  /// Bytes of params to reckon with before they are known.
  private static let usualParams = 32 << 10

  /// Where regions will lie, the size of slices, and how they are fetched.
  ///
  /// Slices that two streams share begin with a wait for a far memory, and while attention runs the
  /// DMA fills no more than its buffers: they are as large as on-chip memory allows.
  private func slices(
    _ graph: Graph, isInPlace: Bool, arena: Int, state: Int
  ) -> (system: MemorySystem?, bytes: Int, staging: WeightStaging?) {
    let raw = graph.constants.reduce(0) { $0 + $1.type.byteCount }
    func memories(staging: Int) -> MemorySystem? {
      self.memories(sizes: [
        .arena: arena, .state: state, .weights: raw + raw / 8, .staging: staging,
        .params: Self.usualParams,
      ])
    }
    if isInPlace { return (memories(staging: 0), Int.max, nil) }
    let bytes = options.sliceBytes
    let system = memories(staging: 4 * bytes)
    let staging = self.staging(in: system)
    guard staging.isShared else { return (system, bytes, staging) }
    for factor in [8, 4, 2] {
      if let larger = memories(staging: staging.buffers * factor * bytes * 5 / 4) {
        return (larger, factor * bytes, staging)
      }
    }
    return (system, bytes, staging)
  }

  /// The memories that regions of about these sizes will lie in. Where they do not fit, which the plan
  /// of the finished program says, nil.
  private func memories(sizes: [Region: Int]) -> MemorySystem? {
    (try? MemoryPlan(sizes: sizes, target: target)).map {
      MemorySystem($0.entries, accelerator: accelerator)
    }
  }

  /// How slices are fetched from where the weights will lie.
  private func staging(in system: MemorySystem?) -> WeightStaging {
    var rates: StreamRates?
    if let system {
      let index = system.memory(ofRegion: Region.weights.rawValue)
      if system.memories.indices.contains(index) {
        rates = StreamRates(system.memories[index], accelerator: accelerator)
      }
    }
    return WeightStaging(rates: rates, accelerator: accelerator)
  }

  /// What the runtime sets for each token.
  private func position(
    _ state: StateLayout, _ params: ParamsBuilder, _ tables: ParamsBuilder
  ) -> Manifest.Position {
    Manifest.Position(
      maskOffset: state.mask, rotationOffset: params.rotation?.offset ?? 0,
      rotationRowBytes: params.rotation?.rowBytes ?? 0, cacheRowBytes: params.cacheRowBytes ?? 0,
      embeddingOffset: tables.embedding?.offset ?? 0,
      embeddingRowBytes: tables.embedding?.rowBytes ?? 0,
      multiplierOffset: tables.embedding?.multipliers ?? 0, multiplierPlace: state.multiplier)
  }

  /// The linear layers in order of first use, each once.
  private func linearKeys(
    _ scheduled: [Scheduled], _ graph: Graph
  ) throws(DiagnosticError) -> [LinearKey] {
    var seen = Set<LinearKey>()
    var keys: [LinearKey] = []
    for entry in scheduled {
      for case .job(let group) in entry.steps {
        for index in group where entry.function.operations[index].code == .linear {
          let key = try LinearKey(
            entry.function.operations[index], in: entry.function, of: graph)
          if seen.insert(key).inserted { keys.append(key) }
        }
      }
    }
    return keys
  }

  private func emit(
    _ entry: Scheduled, graph: Graph, state: StateLayout, packed: WeightPacker.Result,
    tiling: LinearTiling, staging: WeightStaging?, system: MemorySystem?,
    params: inout ParamsBuilder,
    tables: inout ParamsBuilder, into out: inout Emitted
  ) throws(DiagnosticError) {
    let firstWord = out.words.count
    let isDecode = entry.function.name == "decode"
    let kernels = KernelLowering(
      graph: graph, function: entry.function, plan: entry.plan, stateOffsets: state.offsets)
    let lowering = OperationLowering(
      graph: graph, function: entry.function, plan: entry.plan, state: state)
    var time = 0
    for step in entry.steps {
      switch step {
      case .kernel(let index):
        let kernel = try kernels.step(
          entry.function.operations[index], time: time, params: &params, tables: &tables)
        out.words += kernel.words
        if isDecode { out.decodeKernels.append(kernel) }
        time += 1
      case .job(let group):
        var emitter = JobEmitter(
          accelerator: accelerator, staging: staging, memories: system)
        for index in group {
          let operation = entry.function.operations[index]
          var commands: [JobCommand] = []
          if operation.code == .linear {
            let linear = try jobLinear(
              operation, of: entry, graph: graph, packed: packed, tiling: tiling)
            commands = [.linear(linear)]
            if isDecode { out.decodeBytes += linear.packed.slices.reduce(0) { $0 + $1.bytes } }
          } else {
            commands = try lowering.commands(
              operation, time: time, params: &params, tables: &tables)
          }
          emitter.add(commands, for: operation.provenance.source)
          time += 1
        }
        let name = "\(entry.function.name) \(out.jobs.count)"
        let words = try emitter.finish(for: name)
        guard let payload = DriverPayload.encode(stream: words, for: accelerator) else {
          throw DiagnosticError(
            "codegen.stream-too-long",
            "the job's stream has \(words.count) words, the hardware takes "
              + "\(DriverPayload.wordLimit)", at: SourceLocation(element: name))
        }
        if isDecode { out.decodeJobs.append(emitter.events) }
        out.commands += repeatElement(0, count: (16 - out.commands.count % 16) % 16)
        out.words += Step(.npuJob, [UInt32(out.jobs.count)]).words
        out.jobs.append(
          Manifest.Job(
            name: name, offset: out.commands.count, bytes: payload.count,
            provenance: emitter.provenance))
        out.commands += payload
      }
    }
    out.entries.append(
      Manifest.Entry(
        name: entry.function.name, tokens: entry.tokens, firstWord: firstWord,
        words: out.words.count - firstWord,
        sources: entry.steps.map { step in
          if case .kernel(let index) = step {
            return entry.function.operations[index].provenance.source
          }
          return "job"
        }))
  }

  private func jobLinear(
    _ operation: Operation, of entry: Scheduled, graph: Graph, packed: WeightPacker.Result,
    tiling: LinearTiling
  ) throws(DiagnosticError) -> JobLinear {
    let key = try LinearKey(operation, in: entry.function, of: graph)
    let place = SourceLocation(element: operation.provenance.source)
    guard let layer = packed.layers[key], case .value(let x)? = operation.operands.first,
      let result = operation.results.first, let input = entry.plan.offsets[x],
      let output = entry.plan.offsets[result]
    else { throw DiagnosticError("codegen.linear", "has no packed weights or buffers", at: place) }
    let tokens = entry.function[x].type.shape[0]
    guard
      let block = tiling.block(
        tokens: tokens, inputs: layer.inputs, depth: layer.blockDepth, bits: key.inputBits)
    else {
      throw DiagnosticError(
        "codegen.block", "no legal block for \(tokens) tokens and depth \(layer.blockDepth)",
        at: place)
    }
    return JobLinear(
      packed: layer, tokens: tokens, block: block,
      input: NPUTensor(.arena, input, key.inputElement, 1, tokens, layer.inputs),
      output: NPUTensor(.arena, output, key.outputElement, 1, tokens, layer.outputs),
      name: operation.provenance.source)
  }

  private func manifest(
    graph: Graph, facts: ModelFacts, decode: Scheduled, emitted: Emitted,
    packed: WeightPacker.Result, memory: MemoryPlan, sizes: [Region: Int],
    position: Manifest.Position
  ) throws(DiagnosticError) -> Manifest {
    guard let logits = decode.function.results.first, let offset = decode.plan.offsets[logits],
      decode.function[logits].type.element == .int16,
      let scale = decode.function[logits].type.quant?.scale()
    else { throw DiagnosticError("codegen.logits", "decode must end in int16 logits") }
    let onChip = memory.entries.filter {
      memory.memories[Region.allCases[$0.index]]?.kind.isOnChipRAM == true
    }
    let readOnly =
      (sizes[.weights] ?? 0) + (sizes[.params] ?? 0) + emitted.commands.count
      + emitted.words.count * 4 + facts.tokenizer.count
    var estimate = DecodeEstimate(accelerator: accelerator, regions: memory.entries)
    for job in emitted.decodeJobs { estimate.add(job) }
    estimate.read(emitted.decodeBytes, isInPlace: (sizes[.staging] ?? 0) == 0)
    let context = graph.states.first?.type.shape[1] ?? 0
    let cpuCycles = emitted.decodeKernels.reduce(0) {
      $0 + CPUCost.cycles(of: $1, position: context / 2)
    }
    return Manifest(
      model: Manifest.Model(
        name: facts.name, architecture: facts.architecture, parameters: facts.parameters,
        vocabulary: decode.function[logits].type.shape.count,
        context: context, bos: facts.bos, eos: facts.eos),
      target: target.name, npu: accelerator.name, npuClock: target.npu.clock.value,
      cpuClock: target.cpu.clock.value, quant: facts.quant, regions: memory.entries,
      entries: emitted.entries, jobs: emitted.jobs,
      logits: Manifest.Logits(offset: offset, scale: scale), position: position, files: [],
      report: Manifest.Report(
        sramPeakBytes: onChip.reduce(0) { $0 + $1.bytes }, flashBytes: readOnly,
        weightStreamBytes: packed.streamBytes, weightCount: packed.weightCount,
        transposes: decode.function.operations.count { $0.code.onlyMovesData },
        cpuOps: emitted.decodeKernels.count, decodeCycles: estimate.cycles,
        decodeCPUCycles: cpuCycles, decodeBoundCycles: estimate.bound))
  }
}

extension OpCode {
  /// Whether the operation computes nothing and only reorders or copies its operand: what a report
  /// counts as a transpose. The importers build none; a new operation has to say here what it is.
  fileprivate var onlyMovesData: Bool {
    switch self {
    case .embedding, .rmsNorm, .layerNorm, .linear, .rope, .kvWrite, .attention, .silu, .gelu, .lut,
      .mul, .add:
      false
    }
  }
}
