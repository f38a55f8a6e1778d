import Analysis
import Containers
import Foundation
import Support
import TFLiteRuntime
import TensorCore

/// How often the largest output of a TFLite model is the right one: its NPU jobs on the simulator, what is left on
/// the CPU's kernels.
struct LabelledEvaluation {
  /// The files.
  let model: String
  let samples: String
  let labels: String
  /// The most samples that are run.
  let maxCases: Int?

  /// The figures, and samples that were taken for something else.
  struct Result {
    var figures: TaskFigures
    var wrong: [(sample: Int, answer: String, label: Int)]
  }

  /// Completes the command line's files with those of a baseline.
  init(
    _ model: String, samples: String?, labels: String?, maxCases: Int?,
    baseline: (Baseline, path: String)?, records: Bool
  ) throws(DiagnosticError) {
    self.model = model
    let settings = baseline?.0.settings
    let files = BaselineFiles(path: baseline?.path ?? "")
    guard
      let samples = try files.resolve(
        records && samples != nil ? nil : settings?.samples, named: samples, option: "--samples",
        accepts: records),
      let labels = try files.resolve(
        records && labels != nil ? nil : settings?.labels, named: labels, option: "--labels",
        accepts: records)
    else {
      throw DiagnosticError(
        "evaluate.input", "samples and labels go together",
        wayOut: "--samples FILE.npy --labels FILE.npy")
    }
    self.samples = samples
    self.labels = labels
    if !records, settings != nil, let maxCases, maxCases != settings?.maxCases {
      throw DiagnosticError(
        "baseline.settings",
        "--max-cases is \(maxCases) here, \(settings?.maxCases.map { "\($0)" } ?? "not set") in the baseline",
        at: SourceLocation(file: baseline?.path),
        wayOut: "leave the option out, or --record when the change is meant")
    }
    self.maxCases = maxCases ?? settings?.maxCases
  }

  /// Runs all samples, each from a fresh start where the model remembers.
  ///
  /// - Parameters:
  ///   - workers: threads; results do not depend on them.
  ///   - checkpoint: where finished samples are kept.
  ///   - resume: whether those found there are used.
  func run(
    workers: Int, checkpoint: String?, resume: Bool, quiet: Bool
  ) throws(DiagnosticError) -> Result {
    let source = ByteSource(try MappedFile(model))
    let network = try TFLiteModel(source, name: model)
    let samples = try LabelledSamples(
      samples, labels: labels, of: network, limit: maxCases)
    var fingerprint = CRC32()
    for part in [source.withBytes { CRC32.checksum($0) }, samples.checksum] {
      withUnsafeBytes(of: part.littleEndian) { fingerprint.update($0) }
    }
    let remembers = network.subgraphs.contains { graph in
      graph.tensors.contains(where: \.isVariable)
        || graph.operators.contains { $0.code == .builtin(.varHandle) }
    }
    let records: [CaseRecord] = try RecordRun(
      label: "classifying", kind: "labels", fingerprint: fingerprint.value, workers: workers,
      checkpoint: checkpoint, resume: resume, quiet: quiet
    ).records(samples.labels.count) { () throws(DiagnosticError) in
      var session = try TFLiteSession(network)
      return { index throws(DiagnosticError) in
        if remembers { session = try TFLiteSession(network) }
        try session.setInput(samples.input, try samples.sample(index))
        try session.run()
        let answer = try Self.largest(session)
        return CaseRecord(
          index: index, isRight: answer == samples.labels[index], answer: "\(answer)")
      }
    }
    guard let figures = TaskFigures(records) else {
      throw DiagnosticError(
        "evaluate.samples", "has no samples", at: SourceLocation(file: self.samples))
    }
    return Result(
      figures: figures,
      wrong: records.lazy.filter { !$0.isRight }.prefix(5).map {
        ($0.index, $0.answer, samples.labels[$0.index])
      })
  }

  /// The place of the largest number of the first output, the first one of equals.
  private static func largest(_ session: TFLiteSession) throws(DiagnosticError) -> Int {
    let tensor = session.graph.tensors[session.graph.outputs[0]]
    guard let element = tensor.type.element else {
      throw DiagnosticError(
        "evaluate.samples", "output \(tensor.name) has no plain numbers",
        at: SourceLocation(file: session.model.name))
    }
    let data = ConstantData(
      bytes: ByteSource(session.output(0)), encoding: .dense(element))
    let numbers = data.floats(count: tensor.shape.count) ?? []
    return numbers.max().flatMap(numbers.firstIndex(of:)) ?? 0
  }

  /// The settings a baseline keeps.
  func settings(baseline path: String) throws(DiagnosticError) -> Baseline.Settings {
    let files = BaselineFiles(path: path)
    var settings = Baseline.Settings(
      stage: EvaluationStage.compiled.rawValue,
      model: URL(fileURLWithPath: model).lastPathComponent)
    settings.samples = try files.describe(samples)
    settings.labels = try files.describe(labels)
    settings.maxCases = maxCases
    return settings
  }
}

/// What an evaluation on labelled samples found, for people, scripts and gates.
struct LabelledReport {
  let result: LabelledEvaluation.Result
  var gate: GateReport?

  /// The figure as a gate sees it.
  var measurement: MeasuredFigures {
    var measured = MeasuredFigures()
    measured.figures[.top1] = result.figures.exactMatch
    return measured
  }

  /// The table, and some samples that were taken for something else.
  var terminalText: String {
    let figures = result.figures
    let error = figures.exactMatch.error.map { String(format: " ± %.2f", $0 * 100) } ?? ""
    return
      ([
        Console.table([
          ("top-1", String(format: "%.2f %%", figures.exactMatch.value * 100) + error),
          ("samples", "\(figures.right) of \(figures.cases) right"),
        ])
      ]
      + result.wrong.map { "  sample \($0.sample) gave \($0.answer), not \($0.label)" })
      .joined(separator: "\n")
  }

  /// The JSON object of `--json`.
  var json: some Encodable {
    Document(
      top1: result.figures.exactMatch.value, top1Error: result.figures.exactMatch.error,
      cases: result.figures.cases, right: result.figures.right, gate: gate.map(GateDocument.init))
  }

  private struct Document: Encodable {
    var top1: Double
    var top1Error: Double?
    var cases: Int
    var right: Int
    var gate: GateDocument?
  }
}
