/// How serious a diagnostic is.
public enum Severity: String, Sendable, Comparable {
  case note, warning, error

  /// Orders by seriousness.
  public static func < (a: Self, b: Self) -> Bool { a.rank < b.rank }

  private var rank: Int { self == .note ? 0 : self == .warning ? 1 : 2 }
}

/// Where in the user's input a diagnostic points: a file, a thing inside it, and a byte or line.
public struct SourceLocation: Hashable, Sendable, CustomStringConvertible {
  /// The file's name as the user gave it.
  public var file: String?
  /// The tensor, operation, key or function inside the file.
  public var element: String?
  /// The byte offset in the file.
  public var byteOffset: Int?
  /// The line, counted from 1.
  public var line: Int?
  /// The column, counted from 1.
  public var column: Int?

  /// A location made of whatever is known.
  public init(
    file: String? = nil, element: String? = nil, byteOffset: Int? = nil, line: Int? = nil,
    column: Int? = nil
  ) {
    self.file = file
    self.element = element
    self.byteOffset = byteOffset
    self.line = line
    self.column = column
  }

  /// `file:line:column: element (byte n)`, with the unknown parts left out.
  public var description: String {
    var text = file ?? ""
    if let line { text += ":\(line)" }
    if let column { text += ":\(column)" }
    if let element { text += text.isEmpty ? element : ": \(element)" }
    if let byteOffset { text += " (byte \(byteOffset))" }
    return text
  }
}

/// One thing said to the user: what is wrong, where, and the way out.
public struct Diagnostic: Hashable, Sendable, CustomStringConvertible {
  /// How serious it is.
  public var severity: Severity
  /// A stable code such as `import.missing-tensor`, listed in `Docs/Diagnostics.md`.
  public var code: String
  /// What is wrong, in one sentence that names the limit.
  public var message: String
  /// Where.
  public var location: SourceLocation?
  /// Facts that help to understand it.
  public var notes: [String]
  /// What the user can do about it.
  public var wayOut: String?

  /// A diagnostic, an error unless said otherwise.
  public init(
    _ code: String, _ message: String, at location: SourceLocation? = nil,
    severity: Severity = .error, notes: [String] = [], wayOut: String? = nil
  ) {
    self.severity = severity
    self.code = code
    self.message = message
    self.location = location
    self.notes = notes
    self.wayOut = wayOut
  }

  /// The form printed on standard error.
  public var description: String {
    var text = ""
    if let location { text += "\(location): " }
    text += "\(severity.rawValue): \(message) [\(code)]"
    for note in notes { text += "\n  note: \(note)" }
    if let wayOut { text += "\n  try: \(wayOut)" }
    return text
  }
}

/// One or more diagnostics thrown together.
public struct DiagnosticError: Error, Sendable, CustomStringConvertible {
  /// What is wrong, in the order found. Never empty.
  public let diagnostics: [Diagnostic]

  /// Throws one diagnostic.
  public init(_ diagnostic: Diagnostic) { diagnostics = [diagnostic] }

  /// Throws the collected diagnostics.
  public init(_ diagnostics: [Diagnostic]) { self.diagnostics = diagnostics }

  /// Throws one error made on the spot.
  public init(
    _ code: String, _ message: String, at location: SourceLocation? = nil, notes: [String] = [],
    wayOut: String? = nil
  ) {
    self.init(Diagnostic(code, message, at: location, notes: notes, wayOut: wayOut))
  }

  /// All diagnostics, one after the other.
  public var description: String { diagnostics.map(\.description).joined(separator: "\n") }
}
