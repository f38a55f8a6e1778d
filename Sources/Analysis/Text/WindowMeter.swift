import Quantize
import Support

/// Measures windows of text with a model and, where there is one, a reference model.
public struct WindowMeter {
  private var model: any LogitModel
  private var reference: (any LogitModel)?

  /// A meter of a model.
  ///
  /// - Parameters:
  ///   - model: the model that is judged.
  ///   - reference: the model that is taken for the truth.
  public init(_ model: any LogitModel, reference: (any LogitModel)? = nil) {
    self.model = model
    self.reference = reference
  }

  /// Reads a window from position 0 and predicts every token but its first.
  ///
  /// A window longer than a model's context is cut there.
  ///
  /// - Parameters:
  ///   - window: the tokens.
  ///   - index: the window's place among the windows.
  ///   - given: how many tokens are given, as a prompt is: they are read, their predictions not counted.
  public mutating func measure(
    _ window: [Int32], index: Int, given: Int = 1
  ) throws(DiagnosticError) -> WindowRecord {
    var record = WindowRecord(index: index)
    var crc = CRC32()
    model.restart()
    reference?.restart()
    let length = min(window.count, model.context, reference?.context ?? .max)
    let batch = max(1, min(model.batch, reference?.batch ?? .max))
    var position = 0
    while position < length {
      let end = min(position + batch, length)
      let ids = Array(window[position..<end])
      let judged = try model.logits(ids, at: position)
      let truth = try reference?.logits(ids, at: position)
      judged.withUnsafeBytes { crc.update($0) }
      for t in position..<end where t + 1 < length && t + 1 >= given {
        let next = Int(window[t + 1])
        guard (0..<model.vocabulary).contains(next) else {
          throw DiagnosticError(
            "evaluate.token", "token \(next) is outside the vocabulary of \(model.vocabulary)",
            wayOut: "the tokenizer that belongs to this model")
        }
        let q = LogitDistribution(judged, row: t - position, width: model.vocabulary)
        record.losses.append(Float(-q.logProbability(next)))
        guard let truth else { continue }
        let p = LogitDistribution(truth, row: t - position, width: model.vocabulary)
        record.referenceLosses.append(Float(-p.logProbability(next)))
        record.divergences.append(Float(p.divergence(from: q)))
        record.agreements.append(p.best == q.best)
      }
      position = end
    }
    record.tokensRun = length
    record.checksum = crc.value
    if let counting = model as? any CycleCounting {
      let cycles = counting.cycles
      record.npuCycles = cycles.npu
      record.cpuCycles = cycles.cpu
    }
    return record
  }
}

/// A model that knows what it would cost on its target.
public protocol CycleCounting {
  /// NPU and CPU cycles since the last `restart`.
  var cycles: (npu: Int, cpu: Int) { get }
}
