import DeviceRuntime
import EthosUISA
import NPUSim
import NPUTiming
import ProgramFormat
import Support
import Tokenizers

/// A compiled model running on this machine: the device runtime steps through the program's own step
/// lists, and its NPU jobs go to the simulator.
///
/// Not sendable: the runtime keeps pointers into it. Use one session per thread.
public final class LanguageSession {
  /// The program that runs.
  public let program: Program
  /// The tokenizer of the package; nil when it has none.
  public let tokenizer: Tokenizer?
  /// NPU cycles and operations since the last `resetCounters`.
  public private(set) var counters = Counters()

  /// What ran so far.
  public struct Counters: Sendable, Equatable {
    /// Tokens that went through `decode`, and through `prefill`.
    public var decodedTokens = 0
    public var prefilledTokens = 0
    /// NPU cycles of all jobs.
    public var npuCycles = 0
    /// Estimated CPU cycles of what the runtime sets for the jobs.
    public var cpuCycles = 0
    /// NPU jobs.
    public var jobs = 0
  }

  let image: DeviceImage
  /// The jobs that end a run of a batch, and how many tokens it takes.
  private let batch: (jobs: [Int], tokens: Int)
  let npu: SimulatedNPU
  let context: UnsafeMutablePointer<swl_context>
  /// The ids of all positions so far.
  private let window: UnsafeMutableBufferPointer<Int32>

  /// Loads a program into memory and checks it.
  ///
  /// Throws `DiagnosticError` when the runtime or the simulator refuses the program.
  public init(_ program: Program) throws(DiagnosticError) {
    self.program = program
    image = try DeviceImage(program)
    let batches = ["prefill", "prefill_near"].compactMap { program.entry($0) }
    batch = (
      batches.compactMap { entry in
        Step.decode(Array(program.steps[entry.firstWord..<entry.firstWord + entry.words]))?.last
          .map { Int($0.parameters[0]) }
      }, batches.first?.tokens ?? 0
    )
    npu = try SimulatedNPU(program, image: image)
    if program.tokenizer.count > 0 {
      tokenizer = try program.tokenizer.withBytes { raw throws(DiagnosticError) in
        do {
          return try Tokenizer(blob: Array(raw))
        } catch {
          throw DiagnosticError(
            "package.tokenizer", "\(error)", at: SourceLocation(file: PackageFile.tokenizer))
        }
      }
    } else {
      tokenizer = nil
    }
    window = .allocate(capacity: max(program.manifest.model.context, 1))
    window.initialize(repeating: 0)
    context = .allocate(capacity: 1)
    context.initialize(to: swl_context())
    let status = image.bases.withUnsafeBufferPointer { bases in
      swl_open(
        context, image.program, bases.baseAddress,
        { context, job in
          guard let context, let job, let user = context.pointee.user else { return -1 }
          return Unmanaged<SimulatedNPU>.fromOpaque(user).takeUnretainedValue().run(context, job)
        }, Unmanaged.passUnretained(npu).toOpaque())
    }
    try check(status)
  }

  deinit {
    context.deallocate()
    window.deallocate()
  }

  /// The next token's position: how many tokens are in the KV cache.
  public var position: Int { Int(context.pointee.position) }

  /// The logits after the last token: int16, times `program.manifest.logits.scale`.
  public var logits: UnsafeBufferPointer<Int16> {
    UnsafeBufferPointer(
      start: swl_logits(context), count: program.manifest.model.vocabulary)
  }

  /// Forgets all tokens but those of the program's prefix.
  public func reset() { swl_reset(context) }

  /// Sets all counters to zero.
  public func resetCounters() {
    counters = Counters()
    npu.resetCounters()
  }

  /// Runs one token. Throws `DiagnosticError` for a bad id, a full context, or a simulation error.
  public func decode(_ token: Int32) throws(DiagnosticError) {
    note([token])
    try count(1) { swl_decode(context, token) }
  }

  /// Keeps ids in mind that are about to be read; ids that are refused leave no trace.
  private func note(_ tokens: [Int32]) {
    guard tokens.count <= window.count - position else { return }
    for (index, token) in tokens.enumerated() { window[position + index] = token }
  }

  /// Runs one token; when the KV cache is full, first forgets the oldest tokens but for the first `keep`,
  /// and reads half of the others again (`swl_decode_rolling`).
  ///
  /// Throws `DiagnosticError` for a bad id, a `keep` that is not below the context's size or below the
  /// prefix's, or a simulation error.
  public func decode(_ token: Int32, keeping keep: Int) throws(DiagnosticError) {
    guard let keep = UInt32(exactly: keep) else { return try check(SWL_ERROR_ARGUMENT) }
    // Reading again counts as what it is: a prompt.
    let isFull = position >= window.count
    let again = isFull ? Int(keep) + (window.count - Int(keep)) / 2 + 1 : 1
    try count(isFull ? again - Int(image.program.pointee.prefix_tokens) : 1) {
      swl_decode_rolling(context, token, window.baseAddress, keep)
    }
  }

  /// Runs a whole prompt; afterwards `logits` are those of the token that follows.
  public func prompt(_ tokens: [Int32]) throws(DiagnosticError) {
    note(tokens)
    try count(tokens.count) { swl_prompt(context, tokens, UInt32(tokens.count)) }
  }

  /// Runs `body`, which reads `tokens`, and counts what it did.
  private func count(_ tokens: Int, _ body: () -> swl_status) throws(DiagnosticError) {
    let before = npu.runs
    try check(body())
    let ran = npu.runs.indices.map { npu.runs[$0] - before[$0] }
    let batches = batch.jobs.reduce(0) { $0 + (ran.indices.contains($1) ? ran[$1] : 0) }
    let decoded = ran.reduce(0, +) - batches
    counters.cpuCycles += batches * cpuCycles(tokens: batch.tokens)
    counters.decodedTokens += decoded
    counters.prefilledTokens += tokens - decoded
    counters.cpuCycles += decoded * cpuCycles(tokens: 1)
    collect()
  }

  /// Draws the next token from the current logits.
  public func sample(_ sampling: inout Sampling) -> Int32 {
    sampling.draw(logits, scale: program.manifest.logits.scale)
  }

  /// What one NPU job did in its last run, for reports.
  public struct JobReport: Sendable {
    /// The job's name.
    public let name: String
    /// Its operations and hazards.
    public let result: RunResult
    /// When each of them ran, and what limited it.
    public let timing: JobTiming
    /// The model's tensor of each kernel operation.
    public let provenance: [String]
  }

  /// The jobs that have run, in program order.
  public var jobReports: [JobReport] {
    program.manifest.jobs.indices.compactMap { index in
      guard let result = npu.lastRuns[index], let timing = npu.timing(of: index) else {
        return nil
      }
      let job = program.manifest.jobs[index]
      return JobReport(
        name: job.name, result: result, timing: timing, provenance: job.provenance)
    }
  }

  /// The reports of the jobs that the last decode step ran.
  public var decodeReports: [JobReport] {
    guard let entry = program.entry("decode"),
      let steps = Step.decode(
        Array(program.steps[entry.firstWord..<entry.firstWord + entry.words]))
    else { return [] }
    let names = steps.filter { $0.kernel == .npuJob }.compactMap { step in
      step.parameters.first.flatMap { index in
        program.manifest.jobs.indices.contains(Int(index))
          ? program.manifest.jobs[Int(index)].name : nil
      }
    }
    return jobReports.filter { names.contains($0.name) }
  }

  /// A region's bytes as they are now, for comparison with a reference.
  func bytes(of region: Region) -> UnsafeBufferPointer<UInt8> {
    UnsafeBufferPointer(
      start: image.bases[region.rawValue], count: image.sizes[region.rawValue])
  }

  private func cpuCycles(tokens: Int) -> Int {
    CPUCost.cycles(
      tokens: tokens, embeddingBytes: program.manifest.position.embeddingRowBytes,
      rotationBytes: program.manifest.position.rotationRowBytes)
  }

  private func collect() {
    counters.npuCycles = npu.cycles
    counters.jobs = npu.runs.reduce(0, +) - npu.uncounted
  }

  func check(_ status: swl_status) throws(DiagnosticError) {
    guard status != SWL_OK else { return }
    if status == SWL_ERROR_NPU, let failure = npu.failure {
      throw DiagnosticError(
        "simulate.npu", failure, wayOut: "swiftlet disassemble shows the command")
    }
    throw DiagnosticError("run.failed", String(cString: swl_status_text(status)))
  }
}
