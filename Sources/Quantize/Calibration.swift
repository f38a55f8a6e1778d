import Foundation

/// What was seen at one site while text ran through the float model.
public struct SiteStatistics: Sendable {
  /// The largest magnitude of each channel.
  public var channelMax: [Float]
  /// The sum of squares of each channel.
  public var channelSquares: [Double]
  /// For results of `rope`: the largest magnitude in each pair of channels if the pair were turned
  /// by each of ``turns``, pair by pair.
  public var turnedMax: [Float] = []
  /// How many rows were seen.
  public var rows: Int

  /// The angles tried for pairs, as (cos, sin): 16 of them, over a right angle.
  public static let turns: [SIMD2<Float>] = (0..<16).map {
    let angle = Double($0) * Double.pi / 32
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
}
