import Foundation

/// The support function of the values a pair of channels takes: how far they reach in every direction.
struct PairOutline {
  /// Where a turned pair's two channels lie over all positions.
  struct Range {
    /// The middle of each channel's range.
    var centre: SIMD2<Float>
    /// The larger of the two half ranges.
    var reach: Float
    /// The largest magnitude of the two channels.
    var largest: Float
  }

  /// Directions of a full turn it can be asked in.
  static let steps = 1024

  private let support: [Float]

  /// The outline known in ``SiteStatistics/directions`` directions.
  ///
  /// Between two of them the value is the least upper bound that convexity gives (a direction is a
  /// positive combination of its neighbours), which is exact for a single point.
  init(_ known: ArraySlice<Float>) {
    let known = Array(known)
    let count = known.count
    let fine = Self.steps / max(count, 1)
    let gap = 2 * Double.pi / Double(max(count, 1))
    support = (0..<fine * count).map { index in
      let (low, part) = (index / fine, Double(index % fine) / Double(fine) * gap)
      let (a, b) = (Double(known[low]), Double(known[(low + 1) % count]))
      return Float((a * sin(gap - part) + b * sin(part)) / sin(gap))
    }
  }

  /// The range of the pair turned by `turn` (in ``SiteStatistics/directions``) and then by each of
  /// `angles` (in ``steps``).
  func range(turn: Int, at angles: [Int]) -> Range {
    let steps = support.count
    var low = SIMD2<Float>(repeating: .greatestFiniteMagnitude)
    var high = -low
    for angle in angles {
      // Turning by an angle moves the axes the other way.
      let x = (2 * steps - turn * steps / SiteStatistics.directions - angle) % steps
      let y = (x + steps / 4) % steps
      high = pointwiseMax(high, SIMD2(support[x], support[y]))
      low = pointwiseMin(
        low, -SIMD2(support[(x + steps / 2) % steps], support[(y + steps / 2) % steps]))
    }
    let largest = pointwiseMax(high, -low)
    return Range(
      centre: (high + low) / 2, reach: ((high - low) / 2).max(), largest: largest.max())
  }
}
