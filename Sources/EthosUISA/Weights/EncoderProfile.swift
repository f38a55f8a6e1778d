/// Which streams an encoder may make.
public enum EncoderProfile: Sendable, Hashable, CaseIterable {
  /// Everything the decoder's definition allows, the smallest streams. In particular palettes that
  /// leave frequent and rare values apart, with the direct offset past the palette. Arm's encoders
  /// never emit such combinations; Arm's own decoder reads them, but they were not run on silicon.
  case full
  /// Only what one of Arm's two encoders emits for the same weights, for whoever wants streams whose
  /// every combination of fields silicon has surely seen.
  case conservative
}
