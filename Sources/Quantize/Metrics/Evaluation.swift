import Foundation
import Support

/// How well a model predicts text.
public struct TextScore: Sendable {
  /// How many tokens were predicted.
  public var tokens = 0
  /// The sum of their negative log likelihoods, in nats.
  public var total = 0.0

  /// The mean negative log likelihood.
  public var nll: Double { total / Double(max(tokens, 1)) }
  /// `exp(nll)`.
  public var perplexity: Double { exp(nll) }
}

/// How far a model's predictions are from those of another.
public struct Comparison: Sendable {
  /// The model that is taken for the truth.
  public var reference = TextScore()
  /// The model that is judged.
  public var model = TextScore()
  /// The mean Kullback–Leibler divergence per token, in nats.
  public var meanDivergence = 0.0
  /// The divergence that one token in a thousand exceeds.
  public var divergence999 = 0.0
  /// The share of tokens whose most likely successor is the same.
  public var sameTop1 = 0.0

  /// The relative rise of the perplexity.
  public var perplexityRise: Double { exp(model.nll - reference.nll) - 1 }
}

/// Measures models on token sequences. Each sequence starts at position 0 and every token but its
/// first is predicted.
public enum Evaluation {
  /// The score of one model.
  ///
  /// - Parameters:
  ///   - model: the model.
  ///   - sequences: tokens, cut at the model's context.
  ///   - skip: predictions of a sequence that are not counted, for want of context.
  public static func score(
    _ model: inout some LogitModel, _ sequences: [[Int32]], skip: Int = 0
  ) throws(DiagnosticError) -> TextScore {
    var score = TextScore()
    for sequence in sequences {
      model.restart()
      let length = min(sequence.count, model.context)
      var position = 0
      while position < length {
        let end = min(position + model.batch, length)
        let logits = try model.logits(Array(sequence[position..<end]), at: position)
        for t in position..<end where t + 1 < length && t >= skip {
          let row = LogitDistribution(logits, row: t - position, width: model.vocabulary)
          score.total -= row.logProbability(Int(sequence[t + 1]))
          score.tokens += 1
        }
        position = end
      }
    }
    return score
  }

  /// The scores of two models and the distance between their predictions.
  public static func compare(
    reference: inout some LogitModel, model: inout some LogitModel, _ sequences: [[Int32]]
  ) throws(DiagnosticError) -> Comparison {
    var result = Comparison()
    var divergences: [Double] = []
    var same = 0
    let batch = min(reference.batch, model.batch)
    for sequence in sequences {
      reference.restart()
      model.restart()
      let length = min(sequence.count, reference.context, model.context)
      var position = 0
      while position < length {
        let end = min(position + batch, length)
        let ids = Array(sequence[position..<end])
        let truth = try reference.logits(ids, at: position)
        let judged = try model.logits(ids, at: position)
        for t in position..<end where t + 1 < length {
          let p = LogitDistribution(truth, row: t - position, width: reference.vocabulary)
          let q = LogitDistribution(judged, row: t - position, width: model.vocabulary)
          let next = Int(sequence[t + 1])
          result.reference.total -= p.logProbability(next)
          result.model.total -= q.logProbability(next)
          divergences.append(p.divergence(from: q))
          if p.best == q.best { same += 1 }
        }
        position = end
      }
    }
    let count = divergences.count
    result.reference.tokens = count
    result.model.tokens = count
    guard count > 0 else { return result }
    result.meanDivergence = divergences.reduce(0, +) / Double(count)
    result.sameTop1 = Double(same) / Double(count)
    divergences.sort()
    result.divergence999 = divergences[min(count - 1, Int(Double(count) * 0.999))]
    return result
  }
}
