import Foundation
import Support

/// The figures a model must hold, how they were measured and how much worse they may get: a JSON file
/// that is kept with the sources (`Docs/CI.md`).
public struct Baseline: Codable, Sendable, Equatable {
  /// Always `swiftlet-baseline`.
  public var format = Baseline.formatName
  /// The version of this description.
  public var version = Baseline.currentVersion
  /// What was measured and how.
  public var settings: Settings
  /// The figures.
  public var figures: [FigureKind: Entry]
  /// The logits' checksum, where they are exact integers.
  public var logits: Checksum?

  /// The value of `format`.
  public static let formatName = "swiftlet-baseline"
  /// The version written now.
  public static let currentVersion = 1
  /// The largest file that is read, in bytes.
  static let byteLimit = 1 << 20

  /// One figure.
  public struct Entry: Codable, Sendable, Equatable {
    /// The value to hold.
    public var value: Double
    /// Its standard error over the text's blocks, for information: a comparison on the same tokens does
    /// not need it.
    public var error: Double?
    /// How much worse it may get.
    public var tolerance: Tolerance

    /// A figure.
    public init(_ estimate: Estimate, tolerance: Tolerance) {
      value = estimate.value
      error = estimate.error
      self.tolerance = tolerance
    }
  }

  /// A checksum of all logits, and what a change of it means.
  public struct Checksum: Codable, Sendable, Equatable {
    /// What a changed checksum means.
    public enum Consequence: String, Codable, Sendable, CaseIterable {
      /// The gate fails: the same bytes must give the same numbers.
      case fail
      /// The gate says so, and passes if the figures hold.
      case warn
    }

    /// Eight hexadecimal digits.
    public var crc32: String
    /// What a change means.
    public var onChange: Consequence

    private enum CodingKeys: String, CodingKey {
      case crc32
      case onChange = "on_change"
    }

    /// A checksum.
    public init(_ value: UInt32, onChange: Consequence) {
      crc32 = String(value, radix: 16).leftPadded(to: 8)
      self.onChange = onChange
    }
  }

  /// What was measured and how.
  public struct Settings: Codable, Sendable, Equatable {
    /// `float`, `integer` or `compiled`.
    public var stage: String
    /// The model's name, for readers.
    public var model: String
    /// The recipe; nil for the float stage.
    public var quant: String?
    /// The target of the compiled stage.
    public var target: String?
    /// Positions of the context.
    public var context: Int?
    /// The most tokens of the text.
    public var maxTokens: Int?
    /// The most cases of the task.
    public var maxCases: Int?
    /// The text and the task.
    public var text: Input?
    public var task: Input?
    /// Samples and their labels.
    public var samples: Input?
    public var labels: Input?
    /// The calibration text, where one was named.
    public var calibration: Input?
    /// The tokenizer, where one was named.
    public var tokenizer: Input?

    private enum CodingKeys: String, CodingKey {
      case stage, model, quant, target, context, text, task, samples, labels, calibration, tokenizer
      case maxTokens = "max_tokens"
      case maxCases = "max_cases"
    }

    /// Settings of a stage.
    public init(stage: String, model: String) {
      self.stage = stage
      self.model = model
    }
  }

  /// A file that went into the measurement.
  public struct Input: Codable, Sendable, Equatable {
    /// Its name.
    public var name: String
    /// CRC-32 of its bytes: figures of different texts cannot be compared.
    public var crc32: UInt32
    /// Its path from the baseline's folder, when both lie in one project; nil when it must be named.
    public var path: String?

    /// An input.
    public init(name: String, crc32: UInt32, path: String?) {
      self.name = name
      self.crc32 = crc32
      self.path = path
    }
  }

  /// A baseline.
  public init(settings: Settings, figures: [FigureKind: Entry], logits: Checksum?) {
    self.settings = settings
    self.figures = figures
    self.logits = logits
  }

  /// Reads a file.
  ///
  /// Throws `DiagnosticError` when it is absent, no baseline, or holds an impossible number.
  public static func load(_ path: String) throws(DiagnosticError) -> Baseline {
    let file = ByteSource(try MappedFile(path))
    let place = SourceLocation(file: path)
    guard file.count <= byteLimit else {
      throw DiagnosticError("baseline.format", "is too large for a baseline", at: place)
    }
    let baseline: Baseline
    do {
      baseline = try JSONDecoder().decode(Baseline.self, from: file.withBytes { Data($0) })
    } catch {
      throw DiagnosticError(
        "baseline.format", "is not a baseline: \(Self.plain(error))", at: place,
        wayOut: "write it with --record")
    }
    guard baseline.format == formatName, baseline.version == currentVersion else {
      throw DiagnosticError(
        "baseline.version",
        "\(baseline.format) version \(baseline.version); this tool reads \(formatName) version "
          + "\(currentVersion)", at: place, wayOut: "write it again with --record")
    }
    for (kind, entry) in baseline.figures {
      let bounds = [entry.tolerance.relative ?? 0, entry.tolerance.absolute ?? 0]
      guard entry.value.isFinite, bounds.allSatisfy({ $0.isFinite && $0 >= 0 }) else {
        throw DiagnosticError(
          "baseline.value", "value and tolerances must be finite and not negative",
          at: SourceLocation(file: path, element: kind.rawValue))
      }
    }
    return baseline
  }

  /// The file's text: keys sorted, so that a change of one figure is a change of one line.
  public func text() throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    return String(decoding: try encoder.encode(self), as: UTF8.self) + "\n"
  }

  /// A baseline of figures measured now, with the tolerances and the consequence that somebody has
  /// chosen in `old`.
  ///
  /// - Parameters:
  ///   - measured: the figures.
  ///   - settings: how they were measured.
  ///   - onChange: what a changed checksum means in a new baseline.
  ///   - changed: what it means from now on, in an old one too.
  ///   - old: the baseline that is replaced.
  public static func recorded(
    _ measured: MeasuredFigures, settings: Settings, onChange: Checksum.Consequence,
    changed: Checksum.Consequence? = nil, keeping old: Baseline?
  ) -> Baseline {
    var figures: [FigureKind: Entry] = [:]
    for (kind, estimate) in measured.figures {
      figures[kind] = Entry(
        estimate, tolerance: old?.figures[kind]?.tolerance ?? kind.defaultTolerance)
    }
    return Baseline(
      settings: settings, figures: figures,
      logits: measured.checksum.map {
        Checksum($0, onChange: changed ?? old?.logits?.onChange ?? onChange)
      })
  }

  private static func plain(_ error: any Error) -> String {
    switch error {
    case DecodingError.keyNotFound(let key, _): "'\(key.stringValue)' is missing"
    case DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context),
      DecodingError.dataCorrupted(let context):
      (context.codingPath.map(\.stringValue).joined(separator: ".") + " " + context.debugDescription)
        .trimmingCharacters(in: .whitespaces)
    default: "\(error)"
    }
  }
}

/// What a run measured, as a gate sees it.
public struct MeasuredFigures: Sendable, Equatable {
  /// The figures.
  public var figures: [FigureKind: Estimate] = [:]
  /// The logits' checksum, where they are exact integers.
  public var checksum: UInt32?

  /// A measurement without figures.
  public init() {}
}

extension String {
  /// The text with zeros in front.
  fileprivate func leftPadded(to width: Int) -> String {
    String(repeating: "0", count: max(0, width - count)) + self
  }
}
