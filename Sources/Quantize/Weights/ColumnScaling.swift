import Foundation

/// Factors that make the input channels of layers alike in what an error in them costs. The weights
/// of a dear channel grow, and so does the share of the grid they get; the operation before it
/// shrinks the channel in turn.
///
/// Lin et al., "AWQ" (2023), with the factor taken from the conditional variance of each channel
/// (``FeedbackFactor/costs``) rather than from a search: with feedback, that is what an error in it
/// costs, and equal costs are the optimum for an entropy-coded grid of one step.
struct ColumnScaling {
  /// The factor of the values each site makes, by channel; their geometric mean is 1.
  private(set) var factors: [Site: [Float]] = [:]

  /// The largest factor either way.
  private static let limit: Float = 16

  /// The factors for all sites with a gram matrix.
  init(_ factors: CurvatureFactors, method: WeightMethod) {
    guard method.columnPower > 0 else { return }
    for (site, factor) in factors.inputs {
      self.factors[site] = Self.factors(factor.channelCosts(), power: method.columnPower)
    }
  }

  /// `cost^(−power/2)`, normalised and bounded.
  private static func factors(_ costs: [Float], power: Float) -> [Float] {
    let largest = costs.max() ?? 0
    guard largest > 0 else { return costs.map { _ in 1 } }
    let logs = costs.map { log(max($0, largest * 1e-8)) }
    let mean = logs.reduce(0, +) / Float(logs.count)
    return logs.map { min(max(exp((mean - $0) * power / 2), 1 / limit), limit) }
  }
}
