/// What an integer `rms_norm` may take for granted of its rows: the attribute `form` (`Docs/Numerics.md`).
public enum NormForm: Int, Sendable, CaseIterable {
  /// Nothing.
  case any
  /// They are alike in size: no row is made smaller first.
  case alike
  /// They are nearly the same in size: one look-up makes the inverse root.
  case near
}
