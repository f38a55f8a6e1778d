import Analysis
import Foundation
import Importers
import Quantize
import Support

/// `swiftlet evaluate --attribute`: which stage and which tensor a quantisation's loss comes from.
struct AttributionReport {
  /// The stages.
  let attribution: Attribution
  /// The tensors, in the order of the model.
  let tensors: [TensorFidelity]

  /// Tokens the per-tensor table looks at: enough for its sums, seconds to run.
  private static let tensorTokens = 512

  /// Quantises the plan's model and takes the result apart on the plan's text.
  init(_ plan: EvaluationPlan, workers: Int, quiet: Bool) throws(DiagnosticError) {
    guard !plan.isPackage else {
      throw DiagnosticError(
        "evaluate.stage", "a package holds only the finished integers",
        at: SourceLocation(file: plan.model), wayOut: "name the model the package was made from")
    }
    guard let text = plan.text else {
      throw DiagnosticError(
        "evaluate.input", "attribution is measured on a text", wayOut: "--text FILE")
    }
    let pipeline = ModelPipeline(quiet: quiet)
    let model = try pipeline.imported(
      plan.model, ImportOptions(context: plan.context, tokenizer: plan.tokenizer))
    guard let tokenizer = model.tokenizer else { throw TokenizerSource.missing(plan.model) }
    guard let recipe = QuantizationRecipe(name: plan.quant) else {
      throw DiagnosticError("quantize.recipe", "there is no recipe '\(plan.quant)'")
    }
    let study = try Self.study(
      model, recipe: recipe, calibration: plan.calibration, pipeline, quiet: quiet)
    let windows = TokenSequences.split(
      try TextFile.read(text), tokenizer: tokenizer, context: model.configuration.context,
      limit: plan.maxTokens)
    let bar = ProgressBar("attributing", quiet: quiet)
    attribution = try Attribution(
      study, of: model.graph, on: windows, workers: workers, progress: { bar.update($0, of: $1) })
    bar.finish()
    var left = Self.tensorTokens
    tensors = try study.tensors(
      on: windows.compactMap { window in
        let part = window.prefix(max(left, 0))
        left -= part.count
        return part.isEmpty ? nil : Array(part)
      })
  }

  /// The same quantisation that `compile` and `evaluate` make.
  private static func study(
    _ model: ImportedModel, recipe: QuantizationRecipe, calibration: String?,
    _ pipeline: ModelPipeline, quiet: Bool
  ) throws(DiagnosticError) -> QuantizationStudy {
    let model = try pipeline.prepared(model, for: recipe, calibration: calibration)
    let bar = StagedProgress(quiet: quiet)
    defer { bar.finish() }
    if let method = recipe.weights {
      let observed = try pipeline.observed(
        model, for: recipe, calibration: calibration, holdsOut: false)
      return try QuantizationStudy(
        observed, recipe: recipe, method: method, progress: bar.update)
    }
    let ranges = try Quantizer.calibrate(
      model.graph, for: recipe,
      on: try pipeline.calibrationSequences(
        model, text: calibration, limit: ModelPipeline.calibrationTokens), progress: bar.update)
    return try QuantizationStudy(model.graph, recipe: recipe, calibration: ranges)
  }

  /// Two tables: stages, then the tensors with the lowest signal-to-noise ratios.
  var terminalText: String {
    func number(_ value: Double) -> String { String(format: "%9.6f", value) }
    func row(_ cells: [String]) -> String {
      cells[0].padding(toLength: 20, withPad: " ", startingAt: 0)
        + cells.dropFirst().joined(separator: "  ")
    }
    var text = "mean KL divergence on \(Console.count(attribution.tokens)) tokens: "
    text += String(format: "%.6f\n\n", attribution.total)
    text += row(["stage", "    alone", "saved if exact"]) + "\n"
    for share in attribution.shares {
      text += row([share.stage.title, number(share.alone), number(share.saved)]) + "\n"
    }
    text += row(["integer arithmetic", "         ", number(attribution.arithmetic)]) + "\n"
    let shown = tensors.filter { $0.kind != .activation || $0.sqnr.isFinite }
      .sorted { ($0.worst, $0.name) < ($1.worst, $1.name) }.prefix(20)
    text += "\ntensors with the most rounding noise, of \(tensors.count)\n"
    let width = max(shown.map(\.name.count).max() ?? 0, 6)
    text += "tensor".padding(toLength: width + 2, withPad: " ", startingAt: 0)
    text += "kind        SQNR dB  typical dB  so far dB  clipped     largest       limit\n"
    for tensor in shown {
      text += tensor.name.padding(toLength: width + 2, withPad: " ", startingAt: 0)
      text += tensor.kind.rawValue.padding(toLength: 12, withPad: " ", startingAt: 0)
      text += String(format: "%7.1f%12.1f", tensor.sqnr, tensor.typicalSQNR)
      text += tensor.accumulatedSQNR.map { String(format: "%11.1f", $0) } ?? "          –"
      text += String(
        format: "%7.3f %% %11.4g %11.4g\n", tensor.clippedShare * 100, tensor.largest,
        tensor.limit)
    }
    return text
  }

  /// The JSON object of `--json`.
  var json: some Encodable { Document(self) }

  private struct Document: Encodable {
    struct Stage: Encodable {
      var stage: String
      var kldAlone: Double
      var kldSaved: Double
    }
    struct Tensor: Encodable {
      var name: String
      var kind: String
      var sqnrDb: Double?
      var typicalSqnrDb: Double?
      var accumulatedSqnrDb: Double?
      var clippedShare: Double
      var largest: Double
      var limit: Double
    }
    var tokens: Int
    var kldMean: Double
    var kldRounded: Double
    var kldUnrounded: Double
    var kldArithmetic: Double
    var stages: [Stage]
    var tensors: [Tensor]

    init(_ report: AttributionReport) {
      let attribution = report.attribution
      tokens = attribution.tokens
      kldMean = attribution.total
      kldRounded = attribution.rounded
      kldUnrounded = attribution.unrounded
      kldArithmetic = attribution.arithmetic
      stages = attribution.shares.map {
        Stage(stage: $0.stage.rawValue, kldAlone: $0.alone, kldSaved: $0.saved)
      }
      tensors = report.tensors.map {
        Tensor(
          name: $0.name, kind: $0.kind.rawValue, sqnrDb: $0.sqnr.isFinite ? $0.sqnr : nil,
          typicalSqnrDb: $0.typicalSQNR.isFinite ? $0.typicalSQNR : nil,
          accumulatedSqnrDb: $0.accumulatedSQNR.flatMap { $0.isFinite ? $0 : nil },
          clippedShare: $0.clippedShare, largest: $0.largest, limit: $0.limit)
      }
    }
  }
}

extension TensorFidelity {
  /// The worse of its two ratios.
  fileprivate var worst: Double { min(sqnr, typicalSQNR) }
}
