import Foundation

/// One row of logits as a probability distribution over tokens.
public struct LogitDistribution {
  private let row: ArraySlice<Float>
  private let logSum: Double
  /// The most likely token; the lowest id among equals.
  public let best: Int

  /// The distribution of row `row` of `[rows, width]` logits.
  public init(_ logits: [Float], row: Int, width: Int) {
    self.row = logits[row * width..<(row + 1) * width]
    var top = -Float.infinity
    var best = 0
    for (index, value) in self.row.enumerated() where value > top {
      top = value
      best = index
    }
    var sum = 0.0
    for value in self.row { sum += Double(expf(value - top)) }
    logSum = log(sum) + Double(top)
    self.best = best
  }

  /// The natural logarithm of a token's probability.
  public func logProbability(_ token: Int) -> Double {
    Double(row[row.startIndex + token]) - logSum
  }

  /// The Kullback–Leibler divergence of `other` from this distribution, in nats.
  public func divergence(from other: LogitDistribution) -> Double {
    var sum = 0.0
    for (p, q) in zip(row, other.row) {
      let logP = Double(p) - logSum
      sum += exp(logP) * (logP - (Double(q) - other.logSum))
    }
    return max(sum, 0)
  }
}
