import Analysis
import ArgumentParser
import Foundation
import Quantize
import Support

/// `swiftlet evaluate`.
struct EvaluateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "evaluate", abstract: "Accuracy, what quantisation cost, and the gate.",
    discussion: """
      With a model, --stage chooses the float graph, its quantised form, or the bytes compiled for \
      --target and run on the simulator; the last two are compared with float. An integer stage with a \
      --target is compiled as well, for the bits its weights take. With a package directory \
      the package runs; name its model with --model to compare with float.

      --text gives perplexity and, against float, KL divergence and the share of equal first choices, \
      each with its standard error. --task counts exact answers: lines of {"prompt": …, "expect": …}. \
      Such a file may also be given as --text: the right answers are then the text, each after its \
      prompt.

      A .tflite model, plain or with Ethos-U operators as Vela compiles it, runs on --samples, an \
      array of inputs; --labels says which output should be the largest for each (top-1).

      --baseline holds the figures against a file and exits with 3 when one got worse by more than its \
      tolerance; options that are left out come from that file. --record writes it.

      Examples:
        swiftlet evaluate model.gguf --text story.txt --stage integer --quant w8a8
        swiftlet evaluate out --text story.txt --model model.gguf --max-tokens 512
        swiftlet evaluate model.bin --text val.txt --stage compiled --baseline base.json --record
        swiftlet evaluate model.bin --baseline base.json --junit gate.xml --markdown gate.md
        swiftlet evaluate kws.tflite --samples words.npy --labels classes.npy
      """)

  @Argument(help: "A model, a package directory or a .tflite model.")
  var model: String

  @Option(help: "Text to measure on.")
  var text: String?

  @Option(help: "Task file to measure on.")
  var task: String?

  @Option(
    help: "Inputs of a .tflite model to measure on, of its input's type or as float32 (.npy).")
  var samples: String?

  @Option(help: "The right output for each of the samples (.npy).")
  var labels: String?

  @Option(help: "The most tokens of the text. Default: 1024.")
  var maxTokens: Int?

  @Option(help: "The most cases of the task, or samples. Default: all.")
  var maxCases: Int?

  @Option(help: "float, integer or compiled. Default: float, with a baseline compiled.")
  var stage: EvaluationStage?

  @Option(help: "Recipe of the integer and compiled stages. Default: w8a16.")
  var quant: String?

  @Option(
    help:
      "Target of the compiled stage, and what the integer stage is compiled for. Default: corstone-300."
  )
  var target: String?

  @Option(help: "Calibration text of the integer and compiled stages.")
  var calibration: String?

  @Option(help: "Tokens of one window of text. Default: the model's context, at most 512.")
  var context: Int?

  @Option(
    name: .customLong("model"),
    help: "The model to compare with, where it is another file: a package's, or the unrounded one.")
  var floatModel: String?

  @Option(help: "A tokenizer file, when it is not inside or beside the model.")
  var tokenizer: String?

  @Option(help: "Threads. Results do not depend on it. Default: one a processor.")
  var jobs: Int?

  @Option(help: "Keep finished windows and cases in this file.")
  var checkpoint: String?

  @Flag(help: "Go on with the records of --checkpoint.")
  var resume = false

  @Option(help: "Hold the figures against this file.")
  var baseline: String?

  @Flag(help: "Write the figures to --baseline; tolerances in it are kept.")
  var record = false

  @Option(
    help: ArgumentHelp(
      "What a new baseline does when the logits' bits change: fail or warn. Default: fail for packages, "
        + "warn for models, which are quantised anew.", valueName: "what"))
  var changedBits: Baseline.Checksum.Consequence?

  @Option(help: "Write the gate's result as JUnit XML.")
  var junit: String?

  @Option(help: "Write the gate's result as Markdown.")
  var markdown: String?

  @Option(help: "Write the gate's result as SARIF.")
  var sarif: String?

  @Flag(
    help:
      "Say which stage of the quantisation (--quant) and which tensors the divergence comes from.")
  var attribute = false

  @Flag(help: "Print one JSON object.")
  var json = false

  func validate() throws {
    if baseline == nil {
      guard text != nil || task != nil || samples != nil else {
        throw ValidationError(
          "name --text FILE, --task FILE, --samples and --labels, or a --baseline that knows them")
      }
      guard !record else { throw ValidationError("--record needs --baseline FILE") }
      guard junit == nil, markdown == nil, sarif == nil else {
        throw ValidationError("--junit, --markdown and --sarif report a gate: add --baseline FILE")
      }
    }
    if let problem = quant.flatMap(QuantizationRecipe.problem) { throw ValidationError(problem) }
    guard samples == nil || !hasLanguageOption else {
      throw ValidationError(Self.twoKinds)
    }
    guard (samples == nil) == (labels == nil) else {
      throw ValidationError("--samples and --labels go together")
    }
    guard maxTokens ?? 2 >= 2 else { throw ValidationError("--max-tokens must be at least 2") }
    guard maxCases ?? 1 >= 1 else { throw ValidationError("--max-cases must be at least 1") }
    guard context ?? 2 >= 2 else { throw ValidationError("--context must be at least 2") }
    guard jobs ?? 1 >= 1 else { throw ValidationError("--jobs must be at least 1") }
    guard !attribute || (baseline == nil && task == nil) else {
      throw ValidationError("--attribute goes with --text, without --task and --baseline")
    }
    guard !resume || checkpoint != nil else {
      throw ValidationError("--resume needs --checkpoint FILE")
    }
  }

  func run() throws {
    let known = try baseline.flatMap { path throws(DiagnosticError) -> (Baseline, path: String)? in
      if record, !FileManager.default.fileExists(atPath: path) { return nil }
      return (try Baseline.load(path), path)
    }
    let workers = jobs ?? ProcessInfo.processInfo.activeProcessorCount
    if samples != nil || known?.0.settings.samples != nil {
      guard !hasLanguageOption else { throw ValidationError(Self.twoKinds) }
      try runLabelled(known, workers: workers)
    } else {
      try runLanguage(known, workers: workers)
    }
  }

  /// Whether an option is there that says how language models are measured.
  private var hasLanguageOption: Bool {
    [text, task, quant, target, calibration, floatModel, tokenizer].contains { $0 != nil }
      || stage != nil || maxTokens != nil || context != nil || attribute
  }

  private static let twoKinds =
    "--samples are for .tflite models; of the other options they go with --max-cases, --jobs, --checkpoint and those "
    + "of the gate"

  /// Accuracy of a TFLite model on samples.
  private func runLabelled(_ known: (Baseline, path: String)?, workers: Int) throws {
    let evaluation = try LabelledEvaluation(
      model, samples: samples, labels: labels, maxCases: maxCases, baseline: known,
      records: record)
    var report = LabelledReport(
      result: try evaluation.run(
        workers: workers, checkpoint: checkpoint, resume: resume, quiet: json))
    if let known {
      report.gate = GateReport(
        report.measurement, against: known.0, file: known.path, notes: [])
    }
    try write(report.gate)
    if json {
      try Console.json(report.json)
    } else {
      print(report.terminalText)
      if let gate = report.gate { print("\n" + gate.terminalText) }
    }
    try conclude(report.measurement, report.gate, known: known?.0, onChange: .warn) {
      path throws(DiagnosticError) in try evaluation.settings(baseline: path)
    }
  }

  /// A language model on text and tasks.
  private func runLanguage(_ known: (Baseline, path: String)?, workers: Int) throws {
    let plan = try EvaluationPlan(
      model,
      EvaluationPlan.Options(
        stage: stage ?? (baseline != nil && known == nil ? .compiled : nil), quant: quant,
        target: target, context: context, maxTokens: maxTokens, maxCases: maxCases, text: text,
        task: task, calibration: calibration, tokenizer: tokenizer, floatModel: floatModel),
      baseline: known, records: record)
    if attribute {
      let report = try AttributionReport(plan, workers: workers, quiet: json)
      if json { try Console.json(report.json) } else { print(report.terminalText) }
      return
    }
    let subject = try EvaluationSubject(plan, quiet: json)
    let run = EvaluationRun(
      plan: plan, subject: subject,
      workers: workers, checkpoint: checkpoint,
      resume: resume, quiet: json)
    var report = EvaluationReport(plan: plan, manifest: subject.manifest)
    if let text = plan.text { report.text = try run.text(text) }
    var wrong: [(TaskFile.Case, answer: String)] = []
    if let task = plan.task { (report.task, wrong) = try run.task(task) }
    if let known {
      report.gate = GateReport(
        report.measurement, against: known.0, file: known.path,
        notes: plan.differences(from: known.0.settings))
    }
    try write(report.gate)
    if json {
      try Console.json(report.json)
    } else {
      print(report.terminalText)
      for (item, answer) in wrong {
        print("  \(item.prompt.debugDescription) gave '\(answer)', not '\(item.expect)'")
      }
      if let gate = report.gate { print("\n" + gate.terminalText) }
    }
    try conclude(
      report.measurement, report.gate, known: known?.0,
      onChange: plan.isPackage ? .fail : .warn
    ) { path throws(DiagnosticError) in
      try plan.settings(modelName: subject.name, baseline: path)
    }
  }

  /// Records the figures where that was asked for; else a gate that failed ends the run.
  private func conclude(
    _ measurement: MeasuredFigures, _ gate: GateReport?, known: Baseline?,
    onChange: Baseline.Checksum.Consequence,
    settings: (_ baseline: String) throws(DiagnosticError) -> Baseline.Settings
  ) throws {
    if record, let path = baseline {
      let recorded = Baseline.recorded(
        measurement, settings: try settings(path), onChange: changedBits ?? onChange,
        changed: changedBits, keeping: known)
      try OutputFile.write(try recorded.text(), to: path)
      if !json { print("\nrecorded \(recorded.figures.count) figures in \(path)") }
    } else if let gate, !gate.passed {
      throw GateFailure(
        message: "error: the gate \(gate.file) failed\n"
          + gate.failures.map { "  " + $0.sentence }.joined(separator: "\n")
          + "\n  try: swiftlet bisect OLD NEW names the first difference; --record accepts the figures"
      )
    }
  }

  /// Writes the gate's reports, before a failure ends the run.
  private func write(_ gate: GateReport?) throws {
    // A baseline recorded for the first time has nothing to report against.
    guard let gate else { return }
    if let junit { try OutputFile.write(JUnitReport(gate).text, to: junit) }
    if let markdown { try OutputFile.write(gate.markdown, to: markdown) }
    if let sarif {
      let file = ByteSource(try MappedFile(gate.file))
      let text = file.withBytes { String(decoding: $0, as: UTF8.self) }
      try OutputFile.write(try SARIFReport(gate, baseline: text).text(), to: sarif)
    }
  }
}

extension Baseline.Checksum.Consequence: ExpressibleByArgument {}
