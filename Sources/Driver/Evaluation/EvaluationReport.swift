import Analysis
import Foundation
import ProgramFormat

/// What an evaluation found, for people, scripts and gates.
struct EvaluationReport {
  /// What was measured and how.
  let plan: EvaluationPlan
  /// The figures.
  var text: TextFigures?
  var task: TaskFigures?
  /// The compiled program's description.
  var manifest: Manifest?
  /// A baseline comparison.
  var gate: GateReport?

  /// The figures as a gate sees them.
  var measurement: MeasuredFigures {
    var measured = MeasuredFigures()
    if let text {
      measured.figures[.perplexity] = text.perplexity
      if let comparison = text.comparison {
        measured.figures[.kldMean] = comparison.meanDivergence
        measured.figures[.kldMedian] = comparison.medianDivergence
        measured.figures[.kldP999] = comparison.divergence999
        measured.figures[.sameTop1] = comparison.sameTop1
      }
      measured.figures[.npuCyclesPerToken] = text.npuCyclesPerToken.map { Estimate($0) }
      measured.figures[.cpuCyclesPerToken] = text.cpuCyclesPerToken.map { Estimate($0) }
      if plan.stage != .float { measured.checksum = text.checksum }
    }
    if let task { measured.figures[.exactMatch] = task.exactMatch }
    if plan.stage == .compiled, let report = manifest?.report {
      measured.figures[.sramPeakBytes] = Estimate(Double(report.sramPeakBytes))
      measured.figures[.flashBytes] = Estimate(Double(report.flashBytes))
      measured.figures[.weightStreamBytes] = Estimate(Double(report.weightStreamBytes))
      if text == nil {
        measured.figures[.npuCyclesPerToken] = Estimate(Double(report.decodeCycles))
      }
    }
    return measured
  }

  // MARK: For people

  /// The table.
  var terminalText: String {
    var rows: [(String, String)] = []
    if let text {
      if let comparison = text.comparison {
        rows += [
          ("perplexity (float)", Self.number(comparison.perplexity, 4)),
          (
            "perplexity (\(plan.stage.rawValue))",
            Self.number(text.perplexity, 4) + ", " + Self.percent(comparison.rise, 3, sign: true)
          ),
          (
            "KL divergence",
            "mean \(Self.number(comparison.meanDivergence, 5)), median "
              + "\(Self.number(comparison.medianDivergence, 5)), 99.9 % "
              + "\(Self.number(comparison.divergence999, 4))"
          ),
          ("same likeliest token", Self.percent(comparison.sameTop1, 2)),
        ]
      } else {
        rows.append(("perplexity (\(plan.stage.rawValue))", Self.number(text.perplexity, 4)))
        rows.append(
          ("negative log likelihood", String(format: "%.4f a token", log(text.perplexity.value))))
      }
      rows.append(
        ("tokens", "\(Console.count(text.tokens)) in \(Console.count(text.windows)) windows"))
      if let npu = text.npuCyclesPerToken, let cpu = text.cpuCyclesPerToken {
        rows.append(
          (
            "cycles a token",
            "\(Console.count(Int(npu.rounded()))) NPU, \(Console.count(Int(cpu.rounded()))) CPU"
          ))
      }
    }
    if let task {
      rows.append(("exact match (\(plan.stage.rawValue))", Self.percent(task.exactMatch, 2)))
      rows.append(("cases", "\(task.right) of \(task.cases) right"))
    }
    if let report = manifest?.report {
      rows.append(
        (
          "memory",
          "\(Console.bytes(report.sramPeakBytes)) on-chip, \(Console.bytes(report.flashBytes)) read-only"
        ))
      rows.append(("weights", String(format: "%.2f bits each in the stream", report.bitsPerWeight)))
    }
    return Console.table(rows)
  }

  private static func number(_ estimate: Estimate, _ digits: Int) -> String {
    String(format: "%.\(digits)f", estimate.value)
      + (estimate.error.map { String(format: " ± %.\(digits)f", $0) } ?? "")
  }

  private static func percent(_ estimate: Estimate, _ digits: Int, sign: Bool = false) -> String {
    String(format: "%\(sign ? "+" : "").\(digits)f %%", estimate.value * 100)
      + (estimate.error.map { String(format: " ± %.\(digits)f", $0 * 100) } ?? "")
  }

  // MARK: For scripts

  /// The JSON object of `--json`.
  var json: some Encodable { Document(self) }

  private struct Document: Encodable {
    var stage: String
    var perplexity: Double?
    var kldMean: Double?
    var kldMedian: Double?
    var kldP999: Double?
    var sameTop1: Double?
    var tokens: Int?
    var float: Figures?
    var integer: Figures?
    var compiled: Figures?
    var standardErrors: Errors?
    var exactMatch: Double?
    var exactMatchError: Double?
    var cases: Int?
    var npuCyclesPerToken: Double?
    var cpuCyclesPerToken: Double?
    var bitsPerWeight: Double?
    var sramPeakBytes: Int?
    var flashBytes: Int?
    var gate: GateDocument?

    init(_ report: EvaluationReport) {
      stage = report.plan.stage.rawValue
      if let text = report.text {
        let figures = Figures(text)
        perplexity = figures.perplexity
        kldMean = figures.kldMean
        kldMedian = figures.kldMedian
        kldP999 = figures.kldP999
        sameTop1 = figures.sameTop1
        tokens = figures.tokens
        switch report.plan.stage {
        case .float: float = figures
        case .integer: integer = figures
        case .compiled: compiled = figures
        }
        if let comparison = text.comparison {
          float = Figures(
            perplexity: comparison.perplexity.value, tokens: text.tokens, windows: text.windows)
        }
        standardErrors = Errors(text)
        npuCyclesPerToken = text.npuCyclesPerToken
        cpuCyclesPerToken = text.cpuCyclesPerToken
      }
      if let task = report.task {
        exactMatch = task.exactMatch.value
        exactMatchError = task.exactMatch.error
        cases = task.cases
      }
      bitsPerWeight = report.manifest?.report.bitsPerWeight
      sramPeakBytes = report.manifest?.report.sramPeakBytes
      flashBytes = report.manifest?.report.flashBytes
      gate = report.gate.map(GateDocument.init)
    }
  }

  private struct Figures: Encodable {
    var perplexity: Double
    var perplexityRise: Double?
    var kldMean: Double?
    var kldMedian: Double?
    var kldP999: Double?
    var sameTop1: Double?
    var tokens: Int
    var windows: Int

    init(perplexity: Double, tokens: Int, windows: Int) {
      self.perplexity = perplexity
      self.tokens = tokens
      self.windows = windows
    }

    init(_ text: TextFigures) {
      self.init(perplexity: text.perplexity.value, tokens: text.tokens, windows: text.windows)
      guard let comparison = text.comparison else { return }
      perplexityRise = comparison.rise.value
      kldMean = comparison.meanDivergence.value
      kldMedian = comparison.medianDivergence.value
      kldP999 = comparison.divergence999.value
      sameTop1 = comparison.sameTop1.value
    }
  }

  /// Standard errors, and how they come about.
  private struct Errors: Encodable {
    let method = "bootstrap over blocks of at most 64 tokens, 1000 draws, fixed seed"
    var perplexity: Double?
    var perplexityRise: Double?
    var kldMean: Double?
    var kldMedian: Double?
    var kldP999: Double?
    var sameTop1: Double?

    init(_ text: TextFigures) {
      perplexity = text.perplexity.error
      perplexityRise = text.comparison?.rise.error
      kldMean = text.comparison?.meanDivergence.error
      kldMedian = text.comparison?.medianDivergence.error
      kldP999 = text.comparison?.divergence999.error
      sameTop1 = text.comparison?.sameTop1.error
    }
  }
}

/// A gate's result in a JSON object.
struct GateDocument: Encodable {
  struct Row: Encodable {
    var figure: String
    var baseline: Double?
    var measured: Double?
    var change: String
    var tolerance: String
    var verdict: String
  }
  var baseline: String
  var passed: Bool
  var notes: [String]
  var figures: [Row]

  init(_ gate: GateReport) {
    baseline = gate.file
    passed = gate.passed
    notes = gate.notes
    figures = gate.rows.map {
      Row(
        figure: $0.name, baseline: $0.baselineValue, measured: $0.measuredValue,
        change: $0.change, tolerance: $0.tolerance, verdict: $0.verdict.rawValue)
    }
  }
}
