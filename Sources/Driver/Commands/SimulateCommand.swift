import ArgumentParser
import Containers
import Foundation
import NPUTiming
import ProgramFormat
import Report
import Session
import Support
import TFLiteRuntime
import TensorCore

/// `swiftlet simulate`.
struct SimulateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "simulate", abstract: "Runs one step and lists cycles by operation.",
    discussion: """
      FILE is a package directory, a .tflite model (plain, or with Ethos-U operators as Vela compiles \
      it), or Vela's raw .npz. The step runs on the bit-exact simulator; cycles come from an event \
      simulation of the NPU's units and memories (Docs/Timing.md), for foreign files with the memories \
      of Arm's evaluation kit. Hazards are what hardware would not forgive: reads of memory never \
      written, missing waits, accesses outside a region.
      """)

  @Argument(help: "A package directory, a .tflite or a .npz file.")
  var file: String

  @Option(
    help: ArgumentHelp(
      "An input, NAME=file.npy; a package takes token=file.npy with the ids to run, a .npz the "
        + "input's index.",
      valueName: "name=file"))
  var input: [String] = []

  @Option(help: "Where outputs are written as .npy.")
  var outputDir: String?

  @Option(
    help: ArgumentHelp(
      "Where a trace is written that Perfetto and chrome://tracing open.", valueName: "out.json"))
  var trace: String?

  @Option(
    help: ArgumentHelp(
      "Where a report is written: one HTML page with drawings.", valueName: "out.html"))
  var report: String?

  @Flag(
    help:
      "Of a package: a batch of prompt tokens instead of one step, the last one of the ids given.")
  var prefill = false

  @Flag(help: "Print one JSON object.")
  var json = false

  /// What `--json` prints.
  struct Summary: Encodable {
    struct Operation: Encodable {
      let index: Int
      let name: String
      let cycles: Int
      let limiter: String
      let bound: Int
      let macs: Int
      let bytes: Int
    }
    let npuCycles: Int
    let pmu: [String: Int]
    let ops: [Operation]
    let hazards: [String]
    let sramPeakBytes: Int
  }

  func run() throws {
    guard PackageReader.isPackage(file) else {
      guard !prefill else { throw ValidationError("--prefill needs a package") }
      try runForeign()
      return
    }
    let program = try PackageReader.load(file)
    let session = try LanguageSession(program)
    var tokens: [Int32] = [Int32(program.manifest.model.bos ?? 0)]
    for entry in input {
      let parts = entry.split(separator: "=", maxSplits: 1).map(String.init)
      guard parts.count == 2, parts[0] == "token" || parts[0] == "tokens" else {
        throw ValidationError("--input takes token=file.npy for a package, not '\(entry)'")
      }
      tokens = try NumpyFile.integers(parts[1])
    }
    guard !tokens.isEmpty else {
      throw DiagnosticError("simulate.input", "there are no tokens to run")
    }
    if prefill {
      try runBatch(tokens, program, session)
    } else {
      for token in tokens.dropLast() { try session.decode(token) }
      session.resetCounters()
      try session.decode(tokens[tokens.count - 1])
    }
    if let outputDir {
      try NumpyFile.write(
        Array(session.logits), to: outputDir, name: "logits.npy")
    }

    // Of the two jobs for batches the later one stands first.
    let reports =
      prefill
      ? Array(session.jobReports.filter { $0.name.hasPrefix("prefill") }.prefix(1))
      : session.jobReports
    let jobs = reports.map { job in
      SimulatedJob(
        name: job.name, result: job.result, timing: job.timing, provenance: job.provenance)
    }
    let manifest = program.manifest
    var profile = RunProfile(
      title:
        "\(manifest.model.name) on \(manifest.target), \(prefill ? "one batch" : "one decode step")",
      npu: manifest.npu,
      clock: manifest.npuClock, macs: Int(manifest.npu.split(separator: "-").last ?? "") ?? 1,
      jobs: jobs.map(\.profile))
    profile.energy = EnergyEstimate(jobs.map(\.timing), of: manifest)
    profile.occupancy = RunProfile.occupancy(jobs.map { ($0.result.ops, $0.timing) })
    try write(profile)
    try present(summary(jobs, sramPeakBytes: manifest.report.sramPeakBytes))
  }

  /// Runs a prompt that takes a batch: the ids given, or as many of the first as a batch has.
  private func runBatch(_ tokens: [Int32], _ program: Program, _ session: LanguageSession) throws {
    guard let entry = program.entry("prefill") else {
      throw DiagnosticError(
        "simulate.prefill", "the package has no batches", at: SourceLocation(file: file),
        wayOut: "compile with another --prefill than 0")
    }
    let prompt =
      tokens.count > 1 ? tokens : [Int32](repeating: tokens[0], count: entry.tokens + 1)
    try session.prompt(prompt)
    guard session.jobReports.contains(where: { $0.name.hasPrefix("prefill") }) else {
      throw DiagnosticError(
        "simulate.prefill", "\(prompt.count) tokens are read one by one",
        at: SourceLocation(file: file),
        wayOut: "\(entry.tokens) ids or more")
    }
  }

  /// Prints a summary as the options ask.
  func present(_ summary: Summary) throws {
    if json {
      try Console.json(summary)
      return
    }
    for operation in summary.ops {
      print(
        String(operation.index).leftPadded(6) + Console.count(operation.cycles).leftPadded(14)
          + "  \(operation.limiter.padding(toLength: 13, withPad: " ", startingAt: 0)) \(operation.name)"
      )
    }
    print("")
    print(
      Console.table([
        ("NPU cycles", Console.count(summary.npuCycles)),
        ("MAC array busy", Console.count(summary.pmu["mac_active"] ?? 0)),
        ("DMA busy", Console.count(summary.pmu["dma_active"] ?? 0)),
        ("NPU jobs", Console.count(summary.pmu["jobs"] ?? 0)),
        ("hazards", summary.hazards.isEmpty ? "none" : summary.hazards.joined(separator: "\n")),
      ]))
  }
}

extension String {
  fileprivate func leftPadded(_ width: Int) -> String {
    String(repeating: " ", count: max(width - count, 0)) + self
  }
}
