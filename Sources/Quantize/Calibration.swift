/// What was seen at one site while text ran through the float model.
public struct SiteStatistics: Sendable {
  /// The largest magnitude of each channel.
  public var channelMax: [Float]
  /// The sum of squares of each channel.
  public var channelSquares: [Double]
  /// How many rows were seen.
  public var rows: Int

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
