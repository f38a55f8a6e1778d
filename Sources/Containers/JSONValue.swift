import Support

/// A JSON document (RFC 8259), read strictly: names within an object are unique, text is UTF-8, and
/// nesting and the number of values are limited so that hostile input costs bounded memory.
public indirect enum JSONValue: Sendable, Hashable {
  case null
  case bool(Bool)
  /// A number written without fraction and exponent that fits.
  case integer(Int)
  case number(Double)
  case string(String)
  case array([JSONValue])
  /// Members in the order of the document.
  case object([Member])

  /// A name and its value.
  public struct Member: Sendable, Hashable {
    public let name: String
    public let value: JSONValue
  }

  /// Arrays and objects within each other.
  public static let nestingLimit = 32
  /// Values of a document.
  public static let valueLimit = 1 << 22

  /// Parses a whole document. `name` is used in diagnostics, `base` is the document's first byte in
  /// its file. Throws `json.*`.
  public init(
    parsing bytes: UnsafeRawBufferPointer, name: String, base: Int = 0
  ) throws(DiagnosticError) {
    var parser = JSONParser(bytes: bytes, file: name, base: base)
    self = try parser.document()
  }

  /// The member of an object called `name`; nil for `null`, absent members and other kinds.
  public subscript(_ name: String) -> JSONValue? {
    guard case .object(let members) = self else { return nil }
    guard let value = members.first(where: { $0.name == name })?.value, value != .null else {
      return nil
    }
    return value
  }

  /// The members of an object.
  public var members: [Member]? { if case .object(let list) = self { list } else { nil } }
  /// The elements of an array.
  public var elements: [JSONValue]? { if case .array(let list) = self { list } else { nil } }
  /// The text of a string.
  public var string: String? { if case .string(let text) = self { text } else { nil } }
  /// The value of a boolean.
  public var bool: Bool? { if case .bool(let value) = self { value } else { nil } }
  /// The integer.
  public var int: Int? { if case .integer(let value) = self { value } else { nil } }
  /// The number; integers count.
  public var double: Double? {
    switch self {
    case .integer(let value): Double(value)
    case .number(let value): value
    default: nil
    }
  }
}

private struct JSONParser {
  let bytes: UnsafeRawBufferPointer
  let file: String
  let base: Int
  var offset = 0
  var values = 0

  init(bytes: UnsafeRawBufferPointer, file: String, base: Int) {
    self.bytes = bytes
    self.file = file
    self.base = base
  }

  func fail(_ message: String, code: String = "json.syntax") -> DiagnosticError {
    DiagnosticError(
      code, "invalid JSON: \(message)", at: SourceLocation(file: file, byteOffset: base + offset))
  }

  var next: UInt8? { offset < bytes.count ? bytes[offset] : nil }

  mutating func skipSpace() {
    while let byte = next, byte == 32 || byte == 10 || byte == 13 || byte == 9 { offset += 1 }
  }

  mutating func accept(_ character: Unicode.Scalar) -> Bool {
    skipSpace()
    guard next == UInt8(ascii: character) else { return false }
    offset += 1
    return true
  }

  mutating func document() throws(DiagnosticError) -> JSONValue {
    let value = try self.value(depth: 0)
    skipSpace()
    guard offset == bytes.count else { throw fail("there is more after the value") }
    return value
  }

  mutating func value(depth: Int) throws(DiagnosticError) -> JSONValue {
    guard depth <= JSONValue.nestingLimit else {
      throw fail("nested deeper than \(JSONValue.nestingLimit)", code: "json.limit")
    }
    values += 1
    guard values <= JSONValue.valueLimit else {
      throw fail("more than \(JSONValue.valueLimit) values", code: "json.limit")
    }
    skipSpace()
    guard let byte = next else { throw fail("it ends where a value is expected") }
    switch byte {
    case UInt8(ascii: "{"): return try object(depth: depth)
    case UInt8(ascii: "["): return try array(depth: depth)
    case UInt8(ascii: "\""): return .string(try string())
    case UInt8(ascii: "t"): return try word("true", .bool(true))
    case UInt8(ascii: "f"): return try word("false", .bool(false))
    case UInt8(ascii: "n"): return try word("null", .null)
    default: return try number()
    }
  }

  mutating func word(_ text: String, _ value: JSONValue) throws(DiagnosticError) -> JSONValue {
    let end = offset + text.utf8.count
    guard end <= bytes.count, bytes[offset..<end].elementsEqual(text.utf8) else {
      throw fail("\(text) expected")
    }
    offset = end
    return value
  }

  mutating func object(depth: Int) throws(DiagnosticError) -> JSONValue {
    offset += 1
    var members: [JSONValue.Member] = []
    var names: Set<String> = []
    if accept("}") { return .object([]) }
    repeat {
      skipSpace()
      guard next == UInt8(ascii: "\"") else { throw fail("a name in quotes expected") }
      let start = offset
      let name = try string()
      guard names.insert(name).inserted else {
        offset = start
        throw fail("the name \"\(name)\" appears twice", code: "json.duplicate")
      }
      guard accept(":") else { throw fail(": expected") }
      members.append(JSONValue.Member(name: name, value: try value(depth: depth + 1)))
    } while accept(",")
    guard accept("}") else { throw fail(", or } expected") }
    return .object(members)
  }

  mutating func array(depth: Int) throws(DiagnosticError) -> JSONValue {
    offset += 1
    var elements: [JSONValue] = []
    if accept("]") { return .array([]) }
    repeat { elements.append(try value(depth: depth + 1)) } while accept(",")
    guard accept("]") else { throw fail(", or ] expected") }
    return .array(elements)
  }

  mutating func number() throws(DiagnosticError) -> JSONValue {
    let start = offset
    func isDigit(_ byte: UInt8?) -> Bool { byte.map { (48...57).contains($0) } ?? false }
    if next == UInt8(ascii: "-") { offset += 1 }
    guard isDigit(next) else { throw fail("a value expected") }
    let leadingZero = next == 48
    let firstDigit = offset
    while isDigit(next) { offset += 1 }
    guard !leadingZero || offset == firstDigit + 1 else { throw fail("a number starts with 0") }
    var whole = true
    if next == UInt8(ascii: ".") {
      whole = false
      offset += 1
      guard isDigit(next) else { throw fail("a digit expected") }
      while isDigit(next) { offset += 1 }
    }
    if next == UInt8(ascii: "e") || next == UInt8(ascii: "E") {
      whole = false
      offset += 1
      if next == UInt8(ascii: "+") || next == UInt8(ascii: "-") { offset += 1 }
      guard isDigit(next) else { throw fail("a digit expected") }
      while isDigit(next) { offset += 1 }
    }
    let text = String(decoding: bytes[start..<offset], as: UTF8.self)
    if whole, let value = Int(text) { return .integer(value) }
    guard let value = Double(text), value.isFinite else { throw fail("number \(text) too large") }
    return .number(value)
  }

  mutating func string() throws(DiagnosticError) -> String {
    offset += 1
    let start = offset
    while let byte = next, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\"), byte >= 32 {
      offset += 1
    }
    var text = Array(bytes[start..<offset])
    while let byte = next, byte != UInt8(ascii: "\"") {
      guard byte >= 32 else { throw fail("control character in a string") }
      offset += 1
      if byte == UInt8(ascii: "\\") { try escape(&text) } else { text.append(byte) }
    }
    guard next != nil else { throw fail("a string does not end") }
    offset += 1
    guard let valid = String(validating: text, as: UTF8.self) else {
      throw fail("a string is not valid UTF-8")
    }
    return valid
  }

  mutating func escape(_ text: inout [UInt8]) throws(DiagnosticError) {
    guard let kind = next else { throw fail("a string does not end") }
    offset += 1
    switch kind {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(kind)
    case UInt8(ascii: "b"): text.append(8)
    case UInt8(ascii: "f"): text.append(12)
    case UInt8(ascii: "n"): text.append(10)
    case UInt8(ascii: "r"): text.append(13)
    case UInt8(ascii: "t"): text.append(9)
    case UInt8(ascii: "u"):
      var code = try hexadecimal()
      if (0xD800..<0xDC00).contains(code) {
        guard next == UInt8(ascii: "\\"), offset + 1 < bytes.count,
          bytes[offset + 1] == UInt8(ascii: "u")
        else { throw fail("half of a surrogate pair") }
        offset += 2
        let low = try hexadecimal()
        guard (0xDC00..<0xE000).contains(low) else { throw fail("half of a surrogate pair") }
        code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
      }
      guard let scalar = Unicode.Scalar(code) else { throw fail("half of a surrogate pair") }
      text.append(contentsOf: String(Character(scalar)).utf8)
    default: throw fail("unknown escape")
    }
  }

  mutating func hexadecimal() throws(DiagnosticError) -> UInt32 {
    guard offset + 4 <= bytes.count else { throw fail("a string does not end") }
    var value: UInt32 = 0
    for _ in 0..<4 {
      guard let digit = Character(Unicode.Scalar(bytes[offset])).hexDigitValue,
        bytes[offset] < 128
      else { throw fail("four hexadecimal digits expected") }
      value = value << 4 | UInt32(digit)
      offset += 1
    }
    return value
  }
}
