import Analysis
import ArgumentParser
import Foundation
import Importers
import ProgramFormat
import Quantize
import Support
import TargetModel
import Tokenizers

/// `swiftlet bisect`.
struct BisectCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bisect", abstract: "Names the first stage and tensor where two builds part.",
    discussion: """
      A and B are package directories, or models that are compiled with the options; options that end \
      in -b hold for B alone. Weights are compared decoded, by name, so that packages for different \
      targets can be compared; then scales, tables and NPU registers; then what every \
      operation computes on a probe prompt.

      Examples:
        swiftlet bisect out-good out-bad
        swiftlet bisect model.gguf model.gguf --quant w8a16 --quant-b w8a8
        swiftlet bisect out model.gguf --target alif-e7-hp --exit-code
      """)

  @Argument(help: "A package directory or a model.")
  var a: String

  @Argument(help: "The other one.")
  var b: String

  @Option(help: "What to run both builds on.")
  var prompt = "Once upon a time, there was"

  @Option(help: "The most tokens of the probe; 0 compares contents only.")
  var maxTokens = 16

  @Option(help: "Recipe of models. Default: w8a16.")
  var quant = "w8a16"

  @Option(help: "Recipe of B, when it differs.")
  var quantB: String?

  @Option(help: "Target of models. Default: corstone-300.")
  var target = "corstone-300"

  @Option(help: "Target of B, when it differs.")
  var targetB: String?

  @Option(help: "Calibration text of models.")
  var calibration: String?

  @Option(help: "Calibration text of B, when it differs.")
  var calibrationB: String?

  @Option(help: "Positions of the KV cache. Default: the model's, at most 512.")
  var context: Int?

  @Option(help: "A tokenizer file, when it is not inside or beside the model.")
  var tokenizer: String?

  @Flag(help: "Exit with 3 when the builds differ.")
  var exitCode = false

  @Flag(help: "Print one JSON object.")
  var json = false

  private struct Report: Encodable {
    struct Stage: Encodable {
      var stage: BisectStage
      var compared: Int
      var differing: Int
      var first: Bisection.Finding?
    }
    var identical: Bool
    var first: Bisection.Finding?
    var stages: [Stage]
    var seconds: Double
  }

  func validate() throws {
    for name in [quant, quantB].compactMap(\.self) {
      if let problem = QuantizationRecipe.problem(in: name) { throw ValidationError(problem) }
    }
    guard maxTokens >= 0 else { throw ValidationError("--max-tokens must not be negative") }
  }

  func run() throws {
    let start = Date()
    let first = try build(a, quant: quant, target: target, calibration: calibration)
    let second = try build(
      b, quant: quantB ?? quant, target: targetB ?? target,
      calibration: calibrationB ?? calibration)
    let bar = ProgressBar("comparing", quiet: json)
    let result = try Bisection(
      first, second, probe: try probe(first), progress: { bar.update($0, of: $1) })
    bar.finish()
    if json {
      try Console.json(
        Report(
          identical: result.first == nil, first: result.first,
          stages: result.stages.map {
            Report.Stage(
              stage: $0.stage, compared: $0.compared, differing: $0.findings.count,
              first: $0.findings.first)
          }, seconds: Date().timeIntervalSince(start)))
    } else {
      print(Self.text(result))
    }
    if exitCode, let finding = result.first {
      throw GateFailure(message: "the builds part: \(finding.sentence)")
    }
  }

  private static func text(_ result: Bisection) -> String {
    var text =
      result.first.map { "the builds part at the \($0.sentence)\n" }
      ?? "the builds are the same in everything that is compared\n"
    for stage in result.stages {
      let name = stage.stage.title.padding(toLength: 17, withPad: " ", startingAt: 0)
      text += "\n\(name)\(stage.compared) compared, "
      guard let first = stage.findings.first else {
        text += stage.compared == 0 ? "not looked at" : "all equal"
        continue
      }
      text +=
        stage.stage == .activations
        ? "first difference in \(first.name)" : "\(stage.findings.count) differ: \(first.name)"
      if stage.findings.count > 1 {
        text +=
          ", "
          + stage.findings[1..<min(4, stage.findings.count)].map(\.name)
          .joined(separator: ", ")
      }
      if stage.findings.count > 4 { text += ", …" }
    }
    return text
  }

  private func build(
    _ path: String, quant: String, target: String, calibration: String?
  ) throws(DiagnosticError) -> Program {
    if PackageReader.isPackage(path) { return try PackageReader.load(path) }
    let pipeline = ModelPipeline(quiet: json)
    let model = try pipeline.imported(
      path, ImportOptions(context: context, prefillTokens: 16, tokenizer: tokenizer))
    guard let recipe = QuantizationRecipe(name: quant) else {
      throw DiagnosticError("quantize.recipe", "there is no recipe '\(quant)'")
    }
    let graph = try pipeline.quantised(model, recipe: recipe, calibration: calibration)
    return try pipeline.compiled(
      graph, of: model, recipe: recipe, target: try TargetLibrary.find(target))
  }

  /// The prompt's tokens; a spread of ids for a package without a tokenizer.
  private func probe(_ program: Program) throws(DiagnosticError) -> [Int32] {
    guard maxTokens > 0 else { return [] }
    guard program.tokenizer.count > 0 else {
      var random = SplitMix64(seed: 1)
      return (0..<maxTokens).map { _ in
        Int32(random.next() % UInt64(program.manifest.model.vocabulary))
      }
    }
    do throws(TokenizerError) {
      let tokenizer = try Tokenizer(blob: program.tokenizer.withBytes { Array($0) })
      return Array(tokenizer.encode(prompt).prefix(maxTokens))
    } catch {
      throw DiagnosticError(error.diagnostic(at: SourceLocation(file: a)))
    }
  }
}
