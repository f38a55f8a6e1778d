import Analysis
import Foundation
import ProgramFormat
import Support

/// What an evaluation measures and how: the command line's options, completed by the baseline's.
struct EvaluationPlan {
  /// The model or package.
  var model: String
  /// Whether `model` is a package directory.
  var isPackage: Bool
  /// The form that is measured.
  var stage: EvaluationStage
  /// The recipe of the integer and compiled stages.
  var quant: String
  /// The target of the compiled stage.
  var target: String
  /// Whether what the integer stage measures is compiled for ``target``, too, for its size.
  var compilesInteger = false
  /// Positions of the context; nil for the model's own.
  var context: Int?
  /// The most tokens of the text, and cases of the task.
  var maxTokens: Int
  var maxCases: Int?
  /// Files.
  var text: String?
  var task: String?
  var calibration: String?
  var tokenizer: String?
  /// The float model of a package.
  var floatModel: String?

  /// What the command line says; nil where it says nothing.
  struct Options {
    var stage: EvaluationStage?
    var quant: String?
    var target: String?
    var context: Int?
    var maxTokens: Int?
    var maxCases: Int?
    var text: String?
    var task: String?
    var calibration: String?
    var tokenizer: String?
    var floatModel: String?
  }

  /// Completes the options.
  ///
  /// - Parameters:
  ///   - model: a model or a package directory.
  ///   - options: the command line's.
  ///   - baseline: the baseline and its path.
  ///   - records: whether the baseline is recorded anew, so that other settings are allowed.
  ///
  /// Throws `DiagnosticError` when the options contradict the baseline.
  init(
    _ model: String, _ options: Options, baseline: (Baseline, path: String)?, records: Bool
  ) throws(DiagnosticError) {
    self.model = model
    isPackage = PackageReader.isPackage(model)
    let settings = baseline?.0.settings
    var problems: [Diagnostic] = []
    func pick<T: Equatable>(_ given: T?, _ recorded: T?, _ name: String) -> T? {
      guard let given else { return recorded }
      if settings != nil, !records, given != recorded {
        problems.append(
          Diagnostic(
            "baseline.settings",
            "\(name) is \(given) here, \(recorded.map { "\($0)" } ?? "not set") in the baseline",
            at: SourceLocation(file: baseline?.path),
            wayOut: "leave the option out, or --record when the change is meant"))
      }
      return given
    }
    let recordedStage = settings.flatMap { EvaluationStage(rawValue: $0.stage) }
    if let settings, recordedStage == nil {
      throw DiagnosticError(
        "baseline.settings", "there is no stage '\(settings.stage)'",
        at: SourceLocation(file: baseline?.path))
    }
    if isPackage {
      stage = .compiled
      let manifest = try PackageReader.load(model, verify: false).manifest
      quant = manifest.quant
      target = manifest.target
      context = pick(manifest.model.context, settings?.context, "the package's context")
      if let given = options.stage, given != .compiled {
        throw DiagnosticError(
          "evaluate.stage", "a package has no \(given.rawValue) stage",
          at: SourceLocation(file: model), wayOut: "name the model instead of the package")
      }
      _ = pick(stage, recordedStage, "the stage")
    } else {
      stage =
        pick(options.stage, recordedStage, "--stage") ?? (baseline == nil ? .float : .compiled)
      // Recipe and target belong to what is judged, not to how: another recipe may well be held against
      // a baseline, and fail it.
      quant = options.quant ?? settings?.quant ?? "w8a16"
      target = options.target ?? settings?.target ?? "corstone-300"
      context = pick(options.context, settings?.context, "--context")
    }
    compilesInteger = stage == .integer && options.target != nil
    maxTokens = pick(options.maxTokens, settings?.maxTokens, "--max-tokens") ?? 1024
    maxCases = pick(options.maxCases, settings?.maxCases, "--max-cases")
    if !problems.isEmpty { throw DiagnosticError(problems) }

    floatModel = options.floatModel
    text = options.text
    task = options.task
    calibration = options.calibration
    tokenizer = options.tokenizer
    if let (baseline, path) = baseline {
      let files = BaselineFiles(path: path)
      let recorded = baseline.settings
      // Recording with inputs of one's own choice replaces those of the baseline.
      let replaces = records && (options.text != nil || options.task != nil)
      text = try files.resolve(
        replaces ? nil : recorded.text, named: text, option: "--text", accepts: records)
      task = try files.resolve(
        replaces ? nil : recorded.task, named: task, option: "--task", accepts: records)
      if !isPackage {
        calibration = try files.resolve(
          recorded.calibration, named: calibration, option: "--calibration", accepts: records)
        tokenizer = try files.resolve(
          recorded.tokenizer, named: tokenizer, option: "--tokenizer", accepts: records)
      }
    }
    if text == nil, task == nil {
      throw DiagnosticError(
        "evaluate.input", "there is neither a text nor a task to measure on",
        wayOut: "--text FILE, --task FILE, or both")
    }
  }

  /// How what is judged differs from what the baseline was recorded with, for readers of a report.
  func differences(from recorded: Baseline.Settings) -> [String] {
    var notes: [String] = []
    for (what, here, there) in [
      ("recipe", quant, recorded.quant), ("target", target, recorded.target),
    ] {
      guard let there, here != there else { continue }
      notes.append("\(what) \(here); the figures were recorded with \(there)")
    }
    return notes
  }

  /// The settings a baseline keeps.
  func settings(
    modelName: String, baseline path: String
  ) throws(DiagnosticError) -> Baseline.Settings {
    let files = BaselineFiles(path: path)
    var settings = Baseline.Settings(stage: stage.rawValue, model: modelName)
    settings.quant = stage == .float ? nil : quant
    settings.target = stage == .compiled ? target : nil
    settings.context = context
    if let text {
      settings.text = try files.describe(text)
      settings.maxTokens = maxTokens
    }
    if let task {
      settings.task = try files.describe(task)
      settings.maxCases = maxCases
    }
    if !isPackage {
      settings.calibration = try calibration.map { path throws(DiagnosticError) in
        try files.describe(path)
      }
      settings.tokenizer = try tokenizer.map { path throws(DiagnosticError) in
        try files.describe(path)
      }
    }
    return settings
  }
}
