import ArgumentParser
import Foundation
import ProgramFormat
import Report
import Session
import Support
import Tokenizers

/// `swiftlet generate`.
struct GenerateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "generate",
    abstract: "Runs a compiled model on the simulated NPU and streams its text.",
    discussion: """
      The device runtime executes the package's own steps; its NPU jobs run on the bit-exact simulator. \
      What is printed is what the part would print.

      Example: swiftlet generate out --prompt "Once upon a time" --max-tokens 64
      """)

  @Argument(help: "A package directory made by 'swiftlet compile'.")
  var package: String

  @Option(help: "The text to continue.")
  var prompt: String

  @Option(help: "The most tokens to generate.")
  var maxTokens = 128

  @Option(help: "0 takes the likeliest token each time; larger values are bolder.")
  var temperature: Float = 0

  @Option(help: "Seed of the sampler: equal seeds give equal texts.")
  var seed: UInt64 = 0

  @Flag(
    help: ArgumentHelp(
      "Go on when the KV cache is full: forget the older half of the text, but not the package's prefix."
    ))
  var rolling = false

  @Flag(help: "Print the generated text and nothing else.")
  var onlyText = false

  @Flag(help: "Print one JSON object.")
  var json = false

  private struct Report: Encodable {
    let text: String
    let tokens: [Int32]
    let promptTokens: Int
    let promptNPUCycles: Int
    let npuCyclesPerToken: Double
    let cpuCyclesPerToken: Double
    let tokensPerSecond: Double
    let hostTokensPerSecond: Double
    let energyPerToken: Double?
  }

  func validate() throws {
    guard maxTokens >= 1 else { throw ValidationError("--max-tokens must be at least 1") }
    guard temperature >= 0, temperature.isFinite else {
      throw ValidationError("--temperature must be 0 or more")
    }
  }

  func run() throws {
    let program = try PackageReader.load(package)
    let session = try LanguageSession(program)
    guard let tokenizer = session.tokenizer else { throw TokenizerSource.missing(package) }
    // After a prefix the text has begun.
    let first = session.position
    var ids = first > 0 ? tokenizer.encode(prompt, addBOS: false) : tokenizer.encode(prompt)
    if ids.isEmpty, first == 0, let bos = tokenizer.options.bos { ids = [bos] }
    let context = program.manifest.model.context
    guard !ids.isEmpty else {
      throw DiagnosticError(
        "generate.empty", "the prompt has no tokens and the model no start token",
        wayOut: "a prompt with some text")
    }
    guard ids.count <= context - first else {
      throw DiagnosticError(
        "generate.prompt-too-long",
        "the prompt has \(ids.count) tokens, the KV cache room for \(context - first)",
        wayOut: "a shorter prompt, or compile with a larger --context")
    }
    var sampling = Sampling(temperature: temperature, seed: seed)
    var decoder = StreamingDecoder(tokenizer, atStart: false)
    var tokens: [Int32] = []
    var text = ""
    func show(_ piece: String) {
      text += piece
      if !json { Console.stream(piece) }
    }
    if !json && !onlyText { Console.stream(prompt) }
    try session.prompt(ids)
    let promptCycles = session.counters.npuCycles
    session.resetCounters()
    let start = Date()
    var reason = "reached --max-tokens"
    while true {
      let next = session.sample(&sampling)
      if next == tokenizer.options.eos {
        reason = "the model ended the text"
        break
      }
      tokens.append(next)
      show(decoder.append(next))
      if tokens.count >= maxTokens { break }
      guard rolling || session.position < context else {
        reason = "the KV cache is full"
        break
      }
      if rolling {
        try session.decode(next, keeping: first)
      } else {
        try session.decode(next)
      }
    }
    show(decoder.finish())
    let seconds = max(Date().timeIntervalSince(start), 1e-9)
    if onlyText {
      if !json { Console.stream("\n") }
      return
    }
    // A text that ends at once has decoded nothing: the prompt's last token is then the sample.
    let counters = session.counters
    let decoded = max(counters.decodedTokens, 1)
    let npu = Double(counters.npuCycles) / Double(decoded)
    let cpu = Double(counters.cpuCycles) / Double(decoded)
    let deviceSeconds = npu / program.manifest.npuClock + cpu / program.manifest.cpuClock
    let device = deviceSeconds > 0 && counters.decodedTokens > 0 ? 1 / deviceSeconds : 0
    let host = Double(counters.decodedTokens) / seconds
    let energy = EnergyEstimate(session.decodeReports.map(\.timing), of: program.manifest)?.total
    if json {
      try Console.json(
        Report(
          text: text, tokens: tokens, promptTokens: ids.count, promptNPUCycles: promptCycles,
          npuCyclesPerToken: npu, cpuCyclesPerToken: cpu,
          tokensPerSecond: device, hostTokensPerSecond: host, energyPerToken: energy))
      return
    }
    let report = program.manifest.report
    print("\n")
    print(
      Console.table([
        ("tokens", "\(ids.count) prompt, \(tokens.count) generated; \(reason)"),
        ("NPU cycles of the prompt", Console.count(promptCycles)),
        ("NPU cycles a token", Console.count(Int(npu))),
        ("CPU cycles a token", "\(Console.count(Int(cpu))) estimated"),
        (
          "tokens a second",
          String(
            format: "%.1f on %@ (NPU %.0f MHz, CPU %.0f MHz); %.1f simulated here", device,
            program.manifest.target, program.manifest.npuClock / 1e6,
            program.manifest.cpuClock / 1e6, host)
        ),
        (
          "energy a token",
          energy.map { String(format: "%.1f µJ, NPU and memories, estimated", $0 * 1e6) }
            ?? "unknown"
        ),
        ("on-chip RAM", Console.bytes(report.sramPeakBytes)),
        ("read-only", Console.bytes(report.flashBytes)),
      ]))
  }
}
