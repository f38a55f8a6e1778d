import Analysis
import ArgumentParser
import Foundation
import GraphIR
import Importers
import ProgramFormat
import Quantize
import Reference
import Session
import Support
import TargetModel
import Tokenizers

/// `swiftlet evaluate`.
struct EvaluateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "evaluate", abstract: "Perplexity, and what quantisation cost.",
    discussion: """
      With a model, --stage chooses the float graph, its quantised form, or the bytes compiled for \
      --target and run on the simulator; the last two are compared with float. With a package directory \
      the package runs; name its model with --model to compare with float.

      With --task, counts exact answers: lines of {"prompt": …, "expect": …}.

      Examples:
        swiftlet evaluate model.gguf --text story.txt --stage integer --quant w8a8
        swiftlet evaluate out --text story.txt --model model.gguf --max-tokens 512
        swiftlet evaluate out --task test.jsonl
      """)

  /// Which form of a model is measured.
  enum Stage: String, ExpressibleByArgument, CaseIterable {
    case float, integer, compiled
  }

  @Argument(help: "A model or a package directory.")
  var model: String

  @Option(help: "Text to measure on.")
  var text: String?

  @Option(help: "Task file to measure on.")
  var task: String?

  @Option(help: "The most tokens of the text.")
  var maxTokens = 1024

  @Option(help: "The most cases of the task.")
  var maxCases: Int?

  @Option(help: "float, integer or compiled.")
  var stage: Stage?

  @Option(help: "Recipe of the integer and compiled stages.")
  var quant = "w8a16"

  @Option(help: "Target of the compiled stage.")
  var target = "corstone-300"

  @Option(help: "Calibration text of the integer and compiled stages.")
  var calibration: String?

  @Option(help: "Tokens of one window of text. Default: the model's context, at most 512.")
  var context: Int?

  @Option(name: .customLong("model"), help: "The model a package was made from, to compare with.")
  var floatModel: String?

  @Option(help: "A tokenizer file, when it is not inside or beside the model.")
  var tokenizer: String?

  @Flag(help: "Print one JSON object.")
  var json = false

  private struct Figures: Encodable {
    var perplexity: Double
    var kldMean: Double?
    var kldP999: Double?
    var sameTop1: Double?
    var tokens: Int
  }

  private struct Report: Encodable {
    var perplexity: Double
    var kldMean: Double?
    var kldP999: Double?
    var sameTop1: Double?
    var tokens: Int
    var float: Figures?
    var compiled: Figures?
    var integer: Figures?
  }

  private struct TaskReport: Encodable {
    var exactMatch: Double
    var cases: Int
    var stage: String
  }

  func validate() throws {
    guard (text == nil) != (task == nil) else {
      throw ValidationError("name either --text FILE or --task FILE")
    }
    guard QuantizationRecipe(name: quant) != nil else {
      throw ValidationError(
        "there is no recipe '\(quant)'; choose one of "
          + QuantizationRecipe.all.map(\.name).joined(separator: ", "))
    }
    guard maxTokens >= 2 else { throw ValidationError("--max-tokens must be at least 2") }
  }

  func run() throws {
    if task != nil { return try runTask() }
    try runText()
  }

  private func imported(_ path: String) throws(DiagnosticError) -> ImportedModel {
    try ModelImporter.load(path, ImportOptions(context: context, tokenizer: tokenizer))
  }

  private func program(_ model: ImportedModel) throws(DiagnosticError) -> Program {
    guard let recipe = QuantizationRecipe(name: quant) else {
      throw DiagnosticError("quantize.recipe", "there is no recipe '\(quant)'")
    }
    let pipeline = ModelPipeline(quiet: json)
    let graph = try pipeline.quantised(model, recipe: recipe, calibration: calibration)
    return try pipeline.compiled(
      graph, of: model, recipe: recipe, target: try TargetLibrary.find(target))
  }

  // MARK: Text

  private func runText() throws {
    guard let text else { return }
    if PackageReader.isPackage(model) {
      let program = try PackageReader.load(model)
      let tokenizer = try TokenizerSource.load(model)
      let sequences = TokenSequences.split(
        try TextFile.read(text), tokenizer: tokenizer, context: program.manifest.model.context,
        limit: maxTokens)
      var compiled = try CompiledLogitModel(program)
      if let floatModel {
        var reference = try FloatLogitModel(
          try ModelImporter.load(
            floatModel,
            ImportOptions(context: program.manifest.model.context, tokenizer: self.tokenizer)
          ).graph)
        let result = try compare(&reference, &compiled, sequences)
        try show(result, stage: .compiled)
      } else {
        let score = try Evaluation.score(&compiled, sequences)
        try show(score, stage: .compiled)
      }
      return
    }
    let imported = try imported(model)
    guard let tokenizer = imported.tokenizer else { throw TokenizerSource.missing(model) }
    let sequences = TokenSequences.split(
      try TextFile.read(text), tokenizer: tokenizer, context: imported.configuration.context,
      limit: maxTokens)
    var reference = try FloatLogitModel(imported.graph)
    switch stage ?? .float {
    case .float:
      let bar = ProgressBar("evaluating", quiet: json)
      defer { bar.finish() }
      try show(try Evaluation.score(&reference, sequences), stage: .float)
    case .integer:
      guard let recipe = QuantizationRecipe(name: quant) else { return }
      let graph = try ModelPipeline(quiet: json).quantised(
        imported, recipe: recipe, calibration: calibration)
      var integer = try IntegerLogitModel(graph)
      try show(try compare(&reference, &integer, sequences), stage: .integer)
    case .compiled:
      var compiled = try CompiledLogitModel(try program(imported))
      try show(try compare(&reference, &compiled, sequences), stage: .compiled)
    }
  }

  private func compare(
    _ reference: inout FloatLogitModel, _ model: inout some LogitModel, _ sequences: [[Int32]]
  ) throws(DiagnosticError) -> Comparison {
    guard !sequences.isEmpty else {
      throw DiagnosticError("evaluate.text", "the text has fewer than two tokens")
    }
    return try Evaluation.compare(reference: &reference, model: &model, sequences)
  }

  private func show(_ score: TextScore, stage: Stage) throws {
    guard score.tokens > 0 else {
      throw DiagnosticError("evaluate.text", "the text has fewer than two tokens")
    }
    if json {
      let figures = Figures(perplexity: score.perplexity, tokens: score.tokens)
      try Console.json(
        Report(
          perplexity: score.perplexity, tokens: score.tokens,
          float: stage == .float ? figures : nil, compiled: stage == .compiled ? figures : nil,
          integer: stage == .integer ? figures : nil))
      return
    }
    print(
      Console.table([
        ("perplexity (\(stage.rawValue))", String(format: "%.4f", score.perplexity)),
        ("negative log likelihood", String(format: "%.4f a token", score.nll)),
        ("tokens", Console.count(score.tokens)),
      ]))
  }

  private func show(_ result: Comparison, stage: Stage) throws {
    if json {
      let figures = Figures(
        perplexity: result.model.perplexity, kldMean: result.meanDivergence,
        kldP999: result.divergence999, sameTop1: result.sameTop1, tokens: result.model.tokens)
      try Console.json(
        Report(
          perplexity: figures.perplexity, kldMean: figures.kldMean, kldP999: figures.kldP999,
          sameTop1: figures.sameTop1, tokens: figures.tokens,
          float: Figures(perplexity: result.reference.perplexity, tokens: result.reference.tokens),
          compiled: stage == .compiled ? figures : nil,
          integer: stage == .integer ? figures : nil))
      return
    }
    print(
      Console.table([
        ("perplexity (float)", String(format: "%.4f", result.reference.perplexity)),
        (
          "perplexity (\(stage.rawValue))",
          String(
            format: "%.4f, %+.3f %%", result.model.perplexity, result.perplexityRise * 100)
        ),
        (
          "KL divergence",
          String(
            format: "mean %.5f, 99.9 %% %.4f", result.meanDivergence, result.divergence999)
        ),
        ("same likeliest token", String(format: "%.2f %%", result.sameTop1 * 100)),
        ("tokens", Console.count(result.model.tokens)),
      ]))
  }

  // MARK: Task

  private func runTask() throws {
    guard let task else { return }
    var cases = try TaskFile(task).cases
    if let maxCases { cases = Array(cases.prefix(max(maxCases, 1))) }
    let bar = ProgressBar("evaluating", quiet: json)
    var right = 0
    let shownStage: Stage
    var wrong: [(TaskFile.Case, String)] = []
    func judge(_ item: TaskFile.Case, _ answer: String) {
      func trimmed(_ text: String) -> String {
        text.trimmingCharacters(in: .whitespacesAndNewlines)
      }
      if trimmed(answer) == trimmed(item.expect) {
        right += 1
      } else if wrong.count < 5 {
        wrong.append((item, answer))
      }
    }
    if PackageReader.isPackage(model) || stage == .compiled {
      shownStage = .compiled
      let program =
        PackageReader.isPackage(model)
        ? try PackageReader.load(model) : try self.program(try imported(model))
      let session = try LanguageSession(program)
      guard let tokenizer = session.tokenizer else { throw TokenizerSource.missing(model) }
      for (index, item) in cases.enumerated() {
        bar.update(index, of: cases.count)
        session.reset()
        var greedy = Sampling()
        let answer = try TaskFile.answer(
          item.prompt, tokenizer: tokenizer, context: program.manifest.model.context,
          maxTokens: program.manifest.model.context
        ) { ids throws(DiagnosticError) in
          if ids.count > 1 { try session.prompt(ids) } else { try session.decode(ids[0]) }
          return session.sample(&greedy)
        }
        judge(item, answer)
      }
    } else {
      let imported = try imported(model)
      guard let tokenizer = imported.tokenizer else { throw TokenizerSource.missing(model) }
      shownStage = stage ?? .float
      var float: FloatLogitModel?
      var integer: IntegerLogitModel?
      if shownStage == .float {
        float = try FloatLogitModel(imported.graph)
      } else if let recipe = QuantizationRecipe(name: quant) {
        integer = try IntegerLogitModel(
          try ModelPipeline(quiet: json).quantised(
            imported, recipe: recipe, calibration: calibration))
      }
      for (index, item) in cases.enumerated() {
        bar.update(index, of: cases.count)
        float?.restart()
        integer?.restart()
        var position = 0
        let answer = try TaskFile.answer(
          item.prompt, tokenizer: tokenizer, context: imported.configuration.context,
          maxTokens: imported.configuration.context
        ) { ids throws(DiagnosticError) in
          var row: [Float] = []
          let vocabulary = imported.configuration.vocabulary
          for start in stride(from: 0, to: ids.count, by: 64) {
            let part = Array(ids[start..<min(start + 64, ids.count)])
            let all =
              if float != nil {
                try float?.logits(part, at: position)
              } else {
                try integer?.logits(part, at: position)
              }
            row = Array((all ?? []).suffix(vocabulary))
            position += part.count
          }
          var best = 0
          for i in row.indices where row[i] > row[best] { best = i }
          return Int32(best)
        }
        judge(item, answer)
      }
    }
    bar.finish()
    let share = Double(right) / Double(cases.count)
    if json {
      try Console.json(
        TaskReport(exactMatch: share, cases: cases.count, stage: shownStage.rawValue))
      return
    }
    print(
      Console.table([
        ("exact match (\(shownStage.rawValue))", String(format: "%.2f %%", share * 100)),
        ("cases", "\(right) of \(cases.count) right"),
      ]))
    for (item, answer) in wrong {
      print("  \(item.prompt.debugDescription) gave '\(answer)', not '\(item.expect)'")
    }
  }
}
