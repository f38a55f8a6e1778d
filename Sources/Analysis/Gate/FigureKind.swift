/// The figures a gate can hold, in the order reports list them.
///
/// Each knows which direction is worse and how much of it is tolerated unless a baseline says otherwise.
public enum FigureKind: String, CaseIterable, Sendable, Codable, CodingKeyRepresentable {
  case perplexity
  case kldMean = "kld_mean"
  case kldMedian = "kld_median"
  case kldP999 = "kld_p999"
  case sameTop1 = "same_top1"
  case exactMatch = "exact_match"
  case top1
  case sramPeakBytes = "sram_peak_bytes"
  case flashBytes = "flash_bytes"
  case weightStreamBytes = "weight_stream_bytes"
  case npuCyclesPerToken = "npu_cycles_per_token"
  case cpuCyclesPerToken = "cpu_cycles_per_token"

  /// What it is called in reports.
  public var title: String {
    switch self {
    case .perplexity: "perplexity"
    case .kldMean: "KL divergence, mean"
    case .kldMedian: "KL divergence, median"
    case .kldP999: "KL divergence, 99.9 %"
    case .sameTop1: "same likeliest token"
    case .exactMatch: "exact match"
    case .top1: "top-1"
    case .sramPeakBytes: "on-chip RAM, bytes"
    case .flashBytes: "read-only data, bytes"
    case .weightStreamBytes: "weight streams, bytes"
    case .npuCyclesPerToken: "NPU cycles a token"
    case .cpuCyclesPerToken: "CPU cycles a token"
    }
  }

  /// Whether a smaller value is worse.
  public var higherIsBetter: Bool { self == .sameTop1 || self == .exactMatch || self == .top1 }

  /// Digits after the point in reports.
  public var digits: Int {
    switch self {
    case .perplexity: 4
    case .kldMean, .kldMedian, .kldP999: 6
    case .sameTop1, .exactMatch, .top1: 4
    case .sramPeakBytes, .flashBytes, .weightStreamBytes, .npuCyclesPerToken, .cpuCyclesPerToken: 0
    }
  }

  /// The tolerance a new baseline gets.
  ///
  /// A run is repeatable, and compared on the same tokens: sampling noise cancels. What is tolerated is
  /// loss that is not worth a discussion, and the last digits of floating-point libraries, which can
  /// move a rounding of the quantiser.
  public var defaultTolerance: Tolerance {
    switch self {
    case .perplexity:
      Tolerance(
        relative: 0.002,
        why: "a fifth of a percent is below what a user notices; the model's loss is in kld_mean")
    case .kldMean:
      Tolerance(
        relative: 0.1, absolute: 0.0001,
        why: "a tenth more divergence, or the last digits of a very small one")
    case .kldMedian:
      Tolerance(
        relative: 0.15, absolute: 0.0001, why: "as kld_mean; a median of few tokens moves more")
    case .kldP999:
      Tolerance(
        relative: 0.35, absolute: 0.005, why: "set by a few tokens, so it moves much by itself")
    case .sameTop1: Tolerance(absolute: 0.005, why: "half a point")
    case .exactMatch, .top1: Tolerance(absolute: 0.005, why: "half a point")
    case .sramPeakBytes:
      Tolerance(relative: 0.01, why: "alignment and order of buffers")
    case .flashBytes, .weightStreamBytes:
      Tolerance(relative: 0.01, why: "stream lengths follow the weights' values")
    case .npuCyclesPerToken:
      Tolerance(relative: 0.01, why: "stream lengths follow the weights' values")
    case .cpuCyclesPerToken:
      Tolerance(relative: 0.01, why: "an estimate by instruction counts")
    }
  }
}

/// How much worse a figure may get.
public struct Tolerance: Codable, Sendable, Equatable {
  /// A share of the baseline's value.
  public var relative: Double?
  /// An amount in the figure's own unit. With both, the larger one counts.
  public var absolute: Double?
  /// Why this much.
  public var why: String?

  /// A tolerance.
  public init(relative: Double? = nil, absolute: Double? = nil, why: String? = nil) {
    self.relative = relative
    self.absolute = absolute
    self.why = why
  }

  /// The amount allowed around a value.
  public func allowance(of value: Double) -> Double {
    max((relative ?? 0) * abs(value), absolute ?? 0)
  }

  /// `1 %` or `0.005`, as it is written in the baseline.
  public var text: String {
    var parts: [String] = []
    if let relative { parts.append("\(Self.short(relative * 100)) %") }
    if let absolute { parts.append(Self.short(absolute)) }
    return parts.isEmpty ? "0" : parts.joined(separator: " or ")
  }

  private static func short(_ value: Double) -> String {
    let rounded = (value * 1e9).rounded() / 1e9
    return rounded == rounded.rounded() && abs(rounded) < 1e9 ? "\(Int(rounded))" : "\(rounded)"
  }
}
