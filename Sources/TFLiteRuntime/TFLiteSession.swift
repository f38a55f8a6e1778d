import Containers
import EthosUISA
import NPUSim
import NPUTiming
import Support

/// A TFLite model that runs: NPU jobs on the simulator, the operators between them on the CPU kernels.
///
/// Variables live on from one run to the next, as they do on a device. A session is used by one thread
/// at a time.
public final class TFLiteSession {
  /// The model.
  public let model: TFLiteModel
  /// The NPU jobs of the last run, in order.
  public private(set) var jobs: [NPUJobRun] = []

  private let memory: ModelMemory
  private let options: RunOptions
  /// NPU jobs made ready, by subgraph and operator.
  private var machines: [[Int]: NPUJob] = [:]
  /// Subgraphs that CALL_ONCE has run.
  private var initialised: Set<Int> = []
  /// Content of variables made by VAR_HANDLE, and their numbers by name.
  private var variables: [[UInt8]?] = []
  private var variableNumbers: [String: Int] = [:]

  /// A session of a model.
  ///
  /// - Throws: `simulate.*` when its memory or its NPU jobs cannot be laid out.
  public init(_ model: TFLiteModel, options: RunOptions = RunOptions()) throws(DiagnosticError) {
    self.model = model
    self.options = options
    memory = try ModelMemory(model)
    for (g, graph) in model.subgraphs.enumerated() {
      for (i, op) in graph.operators.enumerated() where op.code == TFLiteOperator.ethosU {
        machines[[g, i]] = try NPUJob(
          op, places: memory.places[g], options: options, at: location(g, i))
      }
    }
  }

  /// The first subgraph, which is the one that runs.
  public var graph: TFLiteSubgraph { model.subgraphs[0] }

  /// Whether any operator runs on the NPU.
  public var usesNPU: Bool { !machines.isEmpty }

  /// Whether a variable is read, in the file's order, before the CALL_ONCE that sets it: a runtime that
  /// keeps to the order starts from zeros instead.
  public var readsBeforeInitialisation: Bool {
    let codes = graph.operators.map(\.code)
    guard let once = codes.firstIndex(of: .builtin(.callOnce)) else { return false }
    return codes[..<once].contains(.builtin(.readVariable))
  }

  /// Bytes of the arena that the compiler planned; 0 without a plan.
  public var arenaBytes: Int { memory.arena?.count ?? 0 }

  /// Writes an input by name.
  ///
  /// - Throws: `simulate.input` when there is no such input or its size is another.
  public func setInput(_ name: String, _ bytes: [UInt8]) throws(DiagnosticError) {
    guard let tensor = graph.inputs.first(where: { graph.tensors[$0].name == name }) else {
      let names = graph.inputs.map { graph.tensors[$0].name }.joined(separator: ", ")
      throw DiagnosticError(
        "simulate.input", "the model has no input \(name)", at: SourceLocation(file: model.name),
        notes: ["its inputs: \(names)"])
    }
    guard let place = memory.places[0][tensor], place.write(bytes) else {
      throw DiagnosticError(
        "simulate.input",
        "input \(name) has \(graph.tensors[tensor].byteCount ?? 0) bytes, not \(bytes.count)",
        at: SourceLocation(file: model.name, element: name))
    }
  }

  /// The bytes of output `index` after a run.
  public func output(_ index: Int) -> [UInt8] {
    guard graph.outputs.indices.contains(index) else { return [] }
    return memory.places[0][graph.outputs[index]]?.bytes ?? []
  }

  /// Runs the model once. Inputs must have been written before each run, since the arena reuses them.
  ///
  /// - Throws: `simulate.operator` for an operator without a kernel, `simulate.stream` for a stream that
  ///   cannot be executed.
  public func run() throws(DiagnosticError) {
    jobs = []
    // Vela 5.2.0 moves CALL_ONCE behind the reads of the variables it sets. It means "before the
    // first run", so that is when it runs here.
    for (i, op) in graph.operators.enumerated() where op.code == .builtin(.callOnce) {
      try callOnce(op, 0, i)
    }
    try run(subgraph: 0)
  }

  private func run(subgraph g: Int) throws(DiagnosticError) {
    let graph = model.subgraphs[g]
    for (i, op) in graph.operators.enumerated() {
      switch op.code {
      case TFLiteOperator.ethosU:
        guard let run = try machines[[g, i]]?.run(operatorIndex: i, at: location(g, i)) else {
          continue
        }
        jobs.append(run)
      case .builtin(.callOnce):
        try callOnce(op, g, i)
      case .builtin(.varHandle), .builtin(.readVariable), .builtin(.assignVariable):
        try runVariable(op, g, i)
      default: try runKernel(op, g, i)
      }
    }
  }

  // MARK: CPU operators

  private func callOnce(_ op: TFLiteOperator, _ g: Int, _ i: Int) throws(DiagnosticError) {
    guard case .callOnce(let target) = op.options, target > g,
      model.subgraphs.indices.contains(target)
    else { throw unsupported(g, i, "its subgraph does not exist or does not come later") }
    if initialised.insert(target).inserted { try run(subgraph: target) }
  }

  private func runKernel(_ op: TFLiteOperator, _ g: Int, _ i: Int) throws(DiagnosticError) {
    let tensors = model.subgraphs[g].tensors
    let inputs = op.inputs.map { index in
      index.map { KernelTensor(tensors[$0], memory.places[g][$0]?.bytes ?? []) }
    }
    let call = KernelCall(
      op: op, inputs: inputs, outputs: op.outputs.map { tensors[$0] })
    do throws(KernelError) {
      let result = try call.evaluate()
      let updates = result.updates.compactMap { input, bytes in op.inputs[input].map { ($0, bytes) }
      }
      for (index, bytes) in Array(zip(op.outputs, result.outputs)) + updates {
        guard let place = memory.places[g][index], place.write(bytes) else {
          throw KernelError(reason: "its result does not fit tensor \(tensors[index].name)")
        }
      }
    } catch {
      throw unsupported(g, i, error.reason)
    }
  }

  private func runVariable(_ op: TFLiteOperator, _ g: Int, _ i: Int) throws(DiagnosticError) {
    func number() throws(DiagnosticError) -> Int {
      guard let input = op.inputs.first ?? nil, let bytes = memory.places[g][input]?.bytes,
        let low = bytes.first, variables.indices.contains(Int(low))
      else { throw unsupported(g, i, "its first input is no variable") }
      return Int(low)
    }
    switch (op.code, op.options) {
    case (.builtin(.varHandle), .variable(let container, let name)):
      let key = container + "/" + name
      if variableNumbers[key] == nil {
        guard variables.count < 255 else { throw unsupported(g, i, "too many variables") }
        variableNumbers[key] = variables.count
        variables.append(nil)
      }
      guard let output = op.outputs.first, let place = memory.places[g][output], place.count > 0
      else { throw unsupported(g, i, "it has no output") }
      var bytes = [UInt8](repeating: 0, count: place.count)
      bytes[0] = UInt8(truncatingIfNeeded: variableNumbers[key] ?? 0)
      _ = place.write(bytes)
    case (.builtin(.assignVariable), _):
      guard op.inputs.count == 2, let input = op.inputs[1], let place = memory.places[g][input]
      else { throw unsupported(g, i, "it has no value") }
      variables[try number()] = place.bytes
    case (.builtin(.readVariable), _):
      guard let output = op.outputs.first, let place = memory.places[g][output] else {
        throw unsupported(g, i, "it has no output")
      }
      // A variable that nobody assigned is zero, as in TFLite Micro.
      let bytes = variables[try number()] ?? [UInt8](repeating: 0, count: place.count)
      guard place.write(bytes) else { throw unsupported(g, i, "the variable has another size") }
    default: throw unsupported(g, i, "its options are missing")
    }
  }

  // MARK: Messages

  private func location(_ g: Int, _ i: Int) -> SourceLocation {
    SourceLocation(
      file: model.name,
      element: "subgraph \(g), operator \(i) (\(model.subgraphs[g].operators[i].code))")
  }

  private func unsupported(_ g: Int, _ i: Int, _ reason: String) -> DiagnosticError {
    let graph = model.subgraphs[g]
    let op = graph.operators[i]
    func names(_ tensors: [Int?]) -> String {
      tensors.map { $0.map { graph.tensors[$0].name } ?? "-" }.joined(separator: ", ")
    }
    return DiagnosticError(
      "simulate.operator", "\(op.code) cannot run on the CPU: \(reason)", at: location(g, i),
      notes: ["inputs: \(names(op.inputs))", "outputs: \(names(op.outputs.map { $0 }))"])
  }
}
