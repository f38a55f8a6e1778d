import ArgumentParser
import Containers
import Foundation
import ProgramFormat
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
      it), or Vela's raw .npz. The step runs on the bit-exact simulator; cycles come from the \
      published per-block formulas, for foreign files with every memory ideal. Hazards are what hardware would not forgive: reads of memory never \
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

  @Flag(help: "Print one JSON object.")
  var json = false

  /// What `--json` prints.
  struct Report: Encodable {
    struct Operation: Encodable {
      let index: Int
      let name: String
      let cycles: Int
      let limiter: String
    }
    let npuCycles: Int
    let pmu: [String: Int]
    let ops: [Operation]
    let hazards: [String]
    let sramPeakBytes: Int
  }

  func run() throws {
    guard PackageReader.isPackage(file) else {
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
    for token in tokens.dropLast() { try session.decode(token) }
    session.resetCounters()
    try session.decode(tokens[tokens.count - 1])
    if let outputDir {
      try NumpyFile.write(
        Array(session.logits), to: outputDir, name: "logits.npy")
    }

    var operations: [Report.Operation] = []
    var kernelBusy = 0
    var transferBusy = 0
    for job in session.jobReports {
      kernelBusy += job.timeline.kernelBusy
      transferBusy += job.timeline.transferBusy
      var kernel = 0
      for (record, span) in zip(job.result.ops, job.timeline.spans) {
        let name: String
        if case .transfer(let bytes) = record.kind {
          name = "dma \(bytes) bytes"
        } else {
          name = kernel < job.provenance.count ? job.provenance[kernel] : "kernel"
          kernel += 1
        }
        operations.append(
          Report.Operation(
            index: operations.count, name: name, cycles: span.end - span.start,
            limiter: span.limiter.rawValue))
      }
    }
    let cycles = session.counters.npuCycles
    let hazards = session.jobReports.flatMap { job in
      job.result.hazards.map { "\(job.name): \($0)" }
    }
    let pmu = [
      "cycles": cycles, "kernel_active": kernelBusy, "dma_active": transferBusy,
      "jobs": session.counters.jobs,
    ]
    try present(
      Report(
        npuCycles: cycles, pmu: pmu, ops: operations, hazards: hazards,
        sramPeakBytes: program.manifest.report.sramPeakBytes))
  }

  /// Prints a report as the options ask.
  func present(_ report: Report) throws {
    if json {
      try Console.json(report)
      return
    }
    for operation in report.ops {
      print(
        String(operation.index).leftPadded(6) + Console.count(operation.cycles).leftPadded(14)
          + "  \(operation.limiter.padding(toLength: 13, withPad: " ", startingAt: 0)) \(operation.name)"
      )
    }
    print("")
    print(
      Console.table([
        ("NPU cycles", Console.count(report.npuCycles)),
        ("kernels busy", Console.count(report.pmu["kernel_active"] ?? 0)),
        ("DMA busy", Console.count(report.pmu["dma_active"] ?? 0)),
        ("NPU jobs", Console.count(report.pmu["jobs"] ?? 0)),
        ("hazards", report.hazards.isEmpty ? "none" : report.hazards.joined(separator: "\n")),
      ]))
  }
}

extension String {
  fileprivate func leftPadded(_ width: Int) -> String {
    String(repeating: " ", count: max(width - count, 0)) + self
  }
}
