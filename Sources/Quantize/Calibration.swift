import Foundation

/// What was seen at one site while text ran through the float model.
public struct SiteStatistics: Sendable {
  /// The largest magnitude of each channel.
  public var channelMax: [Float]
  /// The sum of squares of each channel.
  public var channelSquares: [Double]
  /// For what `rope` reads: the largest component of each pair of channels along each of
  /// ``directions`` directions of a full turn, pair by pair (its support function).
  public var support: [Float] = []
  /// For what becomes 8 bits where activations do: how often each channel had which magnitude.
  public var histogram: MagnitudeHistogram?
  /// The largest sum of magnitudes of a row.
  public var rowSum: Float = 0
  /// The smallest and the largest sum of squares of a row.
  public var rowSquares: ClosedRange<Double>?
  /// How many rows were seen.
  public var rows: Int

  /// How many directions the support of a pair is known in: multiples of π / 32.
  public static let directions = 64

  /// The unit vector of a direction.
  public static func direction(_ index: Int) -> SIMD2<Float> {
    let angle = Double(index) * 2 * Double.pi / Double(directions)
    return SIMD2(Float(cos(angle)), Float(sin(angle)))
  }

  /// The largest magnitude of all channels.
  public var largest: Float { channelMax.max() ?? 0 }
}

/// What was seen at every site.
public struct Calibration: Sendable {
  /// By site; operations without a result have none.
  public var sites: [Site: SiteStatistics]
  /// How many tokens were run.
  public var tokens: Int
  /// What 8-bit activations make of it.
  public var ranges = ActivationRanges()
}
