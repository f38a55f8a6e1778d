import GraphIR
import Quantize
import Support

/// How much of a quantisation's divergence each of its stages is to blame for.
public struct Attribution: Sendable, Equatable {
  /// One stage.
  public struct Share: Sendable, Equatable {
    /// The stage.
    public var stage: RoundingStage
    /// The mean divergence with this stage alone rounded.
    public var alone: Double
    /// By how much the mean divergence falls when everything but this stage is rounded.
    public var saved: Double
  }

  /// Predictions that were compared.
  public var tokens: Int
  /// The mean divergence of the integer graph from the original float graph, in nats.
  public var total: Double
  /// The mean divergence of the float graph with all stages rounded.
  public var rounded: Double
  /// The mean divergence of the rescaled float graph with no stage rounded: a check, about 0.
  public var unrounded: Double
  /// The stages.
  public var shares: [Share]

  /// What integer arithmetic adds to the rounding of all stages: norms, softmax, multipliers and the
  /// residual stream's steps. It may be slightly negative, as errors can cancel.
  public var arithmetic: Double { total - rounded }

  /// Measures a quantisation on token windows.
  ///
  /// Stages are not independent (errors add up and cancel), so two numbers are given for each: alone, and
  /// what would be saved if it alone were exact. They differ where stages meet.
  ///
  /// - Parameters:
  ///   - study: the quantisation.
  ///   - graph: the float graph it was made from.
  ///   - windows: tokens, each window from position 0.
  ///   - workers: threads.
  ///   - progress: sees how many windows are done.
  public init(
    _ study: QuantizationStudy, of graph: Graph, on windows: [[Int32]], workers: Int,
    progress: @escaping (Int, Int) -> Void = { _, _ in }
  ) throws(DiagnosticError) {
    let all = Set(RoundingStage.allCases)
    let reference = try FloatLogitModel(graph)
    var models: [any LogitModel & Sendable] = [
      try IntegerLogitModel(study.integer), try study.model(rounding: all),
      try study.model(rounding: []),
    ]
    for stage in RoundingStage.allCases {
      models.append(try study.model(rounding: [stage]))
      models.append(try study.model(rounding: all.subtracting([stage])))
    }
    let candidates = models
    let records: [AttributionRecord] = try RecordPool.run(
      windows.count, workers: workers,
      make: { () throws(DiagnosticError) in
        var meter = AttributionMeter(reference: reference, candidates: candidates)
        return { index throws(DiagnosticError) in
          try meter.measure(windows[index], index: index)
        }
      }, onRecord: { _, done throws(DiagnosticError) in progress(done, windows.count) })
    tokens = records.reduce(0) { $0 + $1.tokens }
    guard tokens > 0 else {
      throw DiagnosticError("evaluate.text", "the text has fewer than two tokens")
    }
    let count = Double(tokens)
    let means = candidates.indices.map { index in
      records.reduce(0) { $0 + $1.divergences[index] } / count
    }
    total = means[0]
    rounded = means[1]
    unrounded = means[2]
    shares = RoundingStage.allCases.enumerated().map { index, stage in
      Share(stage: stage, alone: means[3 + 2 * index], saved: means[1] - means[4 + 2 * index])
    }
  }
}

/// Sums of divergences over one window, by candidate.
struct AttributionRecord: MeasurementRecord {
  var index: Int
  var tokens: Int
  var divergences: [Double]
}

/// Measures several candidates against one reference, which is run once.
struct AttributionMeter {
  var reference: any LogitModel
  var candidates: [any LogitModel]

  init(reference: any LogitModel, candidates: [any LogitModel & Sendable]) {
    self.reference = reference
    self.candidates = candidates.map { $0 as any LogitModel }
  }

  /// Reads a window and sums each candidate's divergences.
  mutating func measure(
    _ window: [Int32], index: Int
  ) throws(DiagnosticError) -> AttributionRecord {
    var record = AttributionRecord(
      index: index, tokens: 0, divergences: [Double](repeating: 0, count: candidates.count))
    reference.restart()
    for i in candidates.indices { candidates[i].restart() }
    let length = min(window.count, reference.context)
    let batch = max(1, reference.batch)
    for start in stride(from: 0, to: length, by: batch) {
      let end = min(start + batch, length)
      let ids = Array(window[start..<end])
      let width = reference.vocabulary
      let truth = try reference.logits(ids, at: start)
      // The last token of a window predicts nothing that could be checked.
      let counted = (start..<end).filter { $0 + 1 < length }.map { $0 - start }
      let rows = counted.map { LogitDistribution(truth, row: $0, width: width) }
      record.tokens += rows.count
      for i in candidates.indices {
        let logits = try candidates[i].logits(ids, at: start)
        for (row, p) in zip(counted, rows) {
          record.divergences[i] += p.divergence(
            from: LogitDistribution(logits, row: row, width: width))
        }
      }
    }
    return record
  }
}
