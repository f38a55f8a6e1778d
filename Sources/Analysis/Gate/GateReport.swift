import Foundation

/// A measurement held against a baseline.
public struct GateReport: Sendable, Equatable {
  /// What became of one figure.
  public enum Verdict: String, Sendable, Codable {
    /// Within the tolerance.
    case held
    /// Better by more than the tolerance: worth recording.
    case improved
    /// Worse by more than the tolerance.
    case regressed
    /// In the baseline, but not measured.
    case missing
    /// The logits are no longer the same numbers, and the baseline only asks to be told.
    case changed

    /// Whether the gate fails.
    public var fails: Bool { self == .regressed || self == .missing }
  }

  /// One figure.
  public struct Row: Sendable, Equatable {
    /// The name in files.
    public var name: String
    /// The name for readers.
    public var title: String
    /// The baseline's value and the measured one, as text.
    public var baseline: String
    public var measured: String
    /// How far it moved: relative for most, absolute for shares.
    public var change: String
    /// How far it may move.
    public var tolerance: String
    /// What became of it.
    public var verdict: Verdict
    /// The numbers behind the text; nil for a checksum.
    public var baselineValue: Double?
    public var measuredValue: Double?

    /// What happened, in one sentence.
    public var sentence: String {
      switch verdict {
      case .held: "\(title) held: \(measured), baseline \(baseline) (\(change))"
      case .improved:
        "\(title) improved from \(baseline) to \(measured) (\(change)): worth recording"
      case .regressed:
        "\(title) moved from \(baseline) to \(measured) (\(change)); allowed: \(tolerance)"
      case .missing: "\(title) was not measured; the baseline has \(baseline)"
      case .changed: "\(title) changed from \(baseline) to \(measured); the figures decide"
      }
    }
  }

  /// The baseline's file, as the user named it.
  public var file: String
  /// The figures, in the order of `FigureKind`, the checksum last.
  public var rows: [Row]
  /// Facts a reader should know.
  public var notes: [String]

  /// Whether every figure held.
  public var passed: Bool { !rows.contains { $0.verdict.fails } }
  /// The figures that failed.
  public var failures: [Row] { rows.filter(\.verdict.fails) }

  /// Holds a measurement against a baseline.
  public init(
    _ measured: MeasuredFigures, against baseline: Baseline, file: String, notes: [String] = []
  ) {
    self.file = file
    self.notes = notes
    rows = FigureKind.allCases.compactMap { kind in
      baseline.figures[kind].map { Self.row(kind, $0, measured.figures[kind]?.value) }
    }
    if let logits = baseline.logits {
      let found = measured.checksum.map { Baseline.Checksum($0, onChange: .warn).crc32 }
      let verdict: Verdict =
        found == nil
        ? .missing
        : found == logits.crc32 ? .held : logits.onChange == .fail ? .regressed : .changed
      rows.append(
        Row(
          name: "logits", title: "logits' checksum", baseline: logits.crc32,
          measured: found ?? "–", change: verdict == .held ? "same bits" : "other bits",
          tolerance: logits.onChange == .fail ? "same bits" : "told only", verdict: verdict))
    }
  }

  private static func row(_ kind: FigureKind, _ entry: Baseline.Entry, _ value: Double?) -> Row {
    func text(_ value: Double) -> String { String(format: "%.\(kind.digits)f", value) }
    let worse = (value ?? entry.value) - entry.value
    let distance = kind.higherIsBetter ? -worse : worse
    let allowance = entry.tolerance.allowance(of: entry.value)
    let verdict: Verdict =
      value.map { !$0.isFinite } ?? true
      ? (value == nil ? .missing : .regressed)
      : distance > allowance ? .regressed : distance < -allowance ? .improved : .held
    let change =
      value == nil
      ? "–"
      : entry.tolerance.relative != nil && entry.value != 0
        ? String(format: "%+.2f %%", worse / abs(entry.value) * 100)
        : String(format: "%+.\(kind.digits)f", worse)
    return Row(
      name: kind.rawValue, title: kind.title, baseline: text(entry.value),
      measured: value.map(text) ?? "–", change: change,
      tolerance: (kind.higherIsBetter ? "−" : "+") + entry.tolerance.text, verdict: verdict,
      baselineValue: entry.value, measuredValue: value)
  }
}
