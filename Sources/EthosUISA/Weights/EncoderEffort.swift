/// How much work an encoder spends on a stream.
public enum EncoderEffort: Sendable, Hashable, CaseIterable {
  /// Own plans only, from histograms: fast, and on weights whose statistics do not change within the
  /// stream as small as `thorough`. Nothing bounds the size by that of Arm's streams.
  case quick
  /// Also the exact choices of both of Arm's encoders, and slices and sections where statistics
  /// change: never larger than Arm's, at about a third of the speed.
  case thorough
}
