import Support

/// Splits the textual form of a graph into tokens with line and column.
struct GraphLexer {
  /// A token of the textual form.
  enum Token: Hashable {
    /// Letters, digits and `_ . - + /`: keywords, names, numbers.
    case word(String)
    case string(String)
    /// One of `@ $ % = : , ( ) [ ] { }`.
    case symbol(Character)
    case end

    /// How messages show it.
    var description: String {
      switch self {
      case .word(let text): "\"\(text)\""
      case .string: "a string"
      case .symbol(let character): "\"\(character)\""
      case .end: "the end"
      }
    }
  }

  private let bytes: [UInt8]
  private let file: String?
  private var offset = 0
  private var line = 1
  private var lineStart = 0
  /// The place of the last token.
  private(set) var location: SourceLocation

  init(_ text: String, file: String?) {
    bytes = Array(text.utf8)
    self.file = file
    location = SourceLocation(file: file, line: 1, column: 1)
  }

  /// Whether a byte can be part of a word.
  static func isWord(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "."),
      UInt8(ascii: "-"), UInt8(ascii: "+"), UInt8(ascii: "/"):
      true
    default: false
    }
  }

  private func fail(_ message: String) -> DiagnosticError {
    DiagnosticError("gir.syntax", message, at: location)
  }

  /// The next token. Comments run from `//` to the end of their line; a name cannot begin so.
  mutating func next() throws(DiagnosticError) -> Token {
    skipSpaceAndComments()
    location = SourceLocation(file: file, line: line, column: offset - lineStart + 1)
    guard offset < bytes.count else { return .end }
    let byte = bytes[offset]
    if Self.isWord(byte) {
      let start = offset
      while offset < bytes.count, Self.isWord(bytes[offset]) { offset += 1 }
      return .word(String(decoding: bytes[start..<offset], as: UTF8.self))
    }
    if byte == UInt8(ascii: "\"") { return .string(try string()) }
    let character = Character(Unicode.Scalar(byte))
    guard "@$%=:,()[]{}".contains(character) else {
      throw fail("unexpected character \(String(reflecting: character))")
    }
    offset += 1
    return .symbol(character)
  }

  private mutating func skipSpaceAndComments() {
    while offset < bytes.count {
      let byte = bytes[offset]
      if byte == 10 {
        line += 1
        lineStart = offset + 1
        offset += 1
      } else if byte == 32 || byte == 9 || byte == 13 {
        offset += 1
      } else if byte == UInt8(ascii: "/"), offset + 1 < bytes.count,
        bytes[offset + 1] == UInt8(ascii: "/")
      {
        while offset < bytes.count, bytes[offset] != 10 { offset += 1 }
      } else {
        return
      }
    }
  }

  private mutating func string() throws(DiagnosticError) -> String {
    offset += 1
    var text: [UInt8] = []
    while offset < bytes.count, bytes[offset] != UInt8(ascii: "\"") {
      var byte = bytes[offset]
      offset += 1
      guard byte != 10 else { throw fail("a string does not end on its line") }
      if byte == UInt8(ascii: "\\") {
        guard offset < bytes.count else { throw fail("a string does not end") }
        byte = bytes[offset]
        offset += 1
        switch byte {
        case UInt8(ascii: "n"): byte = 10
        case UInt8(ascii: "\""), UInt8(ascii: "\\"): break
        case UInt8(ascii: "u"):
          text.append(contentsOf: String(Character(try scalar())).utf8)
          continue
        default: throw fail("unknown escape in a string")
        }
      }
      text.append(byte)
    }
    guard offset < bytes.count else { throw fail("a string does not end") }
    offset += 1
    return String(decoding: text, as: UTF8.self)
  }

  /// The rest of `\u{…}`.
  private mutating func scalar() throws(DiagnosticError) -> Unicode.Scalar {
    let end = bytes[offset...].prefix(10).firstIndex(of: UInt8(ascii: "}"))
    guard let end, bytes[offset] == UInt8(ascii: "{"),
      let code = UInt32(String(decoding: bytes[(offset + 1)..<end], as: UTF8.self), radix: 16),
      let scalar = Unicode.Scalar(code)
    else { throw fail("unknown escape in a string") }
    offset = end + 1
    return scalar
  }
}
