/// A parsed JSON document (RFC 8259).
///
/// Objects keep their members in order and with their own keys: dictionaries keyed by `String` would
/// confuse pieces that Unicode calls canonically equivalent.
enum JSONValue {
  case null
  case bool(Bool)
  case number(Double)
  case string(String)
  case array([JSONValue])
  case object([(key: String, value: JSONValue)])

  /// Parses a whole document.
  ///
  /// Throws `malformed` with the byte offset. Nesting is limited to 64 levels.
  init(parsing bytes: [UInt8]) throws(TokenizerError) {
    var parser = JSONParser(bytes: bytes)
    self = try parser.document()
  }

  /// The member of an object; nil when this is no object or has no such member.
  subscript(_ key: String) -> JSONValue? {
    guard case .object(let members) = self else { return nil }
    for member in members where member.key.utf8.elementsEqual(key.utf8) {
      if case .null = member.value { return nil }
      return member.value
    }
    return nil
  }

  /// The text of a string.
  var string: String? { if case .string(let text) = self { text } else { nil } }
  /// The truth value.
  var bool: Bool? { if case .bool(let value) = self { value } else { nil } }
  /// The elements of an array.
  var array: [JSONValue]? { if case .array(let items) = self { items } else { nil } }
  /// A number that is an integer.
  var integer: Int? { if case .number(let value) = self { Int(exactly: value) } else { nil } }
}

private struct JSONParser {
  let bytes: [UInt8]
  var index = 0
  var depth = 0

  init(bytes: [UInt8]) { self.bytes = bytes }

  private func fail(_ why: String) -> TokenizerError {
    .malformed("JSON: \(why)", offset: index)
  }

  private var current: UInt8? { index < bytes.count ? bytes[index] : nil }

  private mutating func skipSpace() {
    while let byte = current, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 {
      index += 1
    }
  }

  private mutating func expect(_ literal: StaticString) throws(TokenizerError) {
    let wanted = literal.withUTF8Buffer { Array($0) }
    guard bytes.count - index >= wanted.count,
      bytes[index..<index + wanted.count].elementsEqual(wanted)
    else { throw fail("expected “\(literal)”") }
    index += wanted.count
  }

  mutating func document() throws(TokenizerError) -> JSONValue {
    let result = try value()
    skipSpace()
    guard index == bytes.count else { throw fail("something follows the document") }
    return result
  }

  private mutating func value() throws(TokenizerError) -> JSONValue {
    skipSpace()
    switch current {
    case UInt8(ascii: "{"): return try object()
    case UInt8(ascii: "["): return try array()
    case UInt8(ascii: "\""): return .string(try string())
    case UInt8(ascii: "t"):
      try expect("true")
      return .bool(true)
    case UInt8(ascii: "f"):
      try expect("false")
      return .bool(false)
    case UInt8(ascii: "n"):
      try expect("null")
      return .null
    case .some: return .number(try number())
    case nil: throw fail("the document ends early")
    }
  }

  private mutating func enter() throws(TokenizerError) {
    index += 1
    depth += 1
    guard depth <= 64 else { throw fail("nested deeper than 64 levels") }
  }

  private mutating func object() throws(TokenizerError) -> JSONValue {
    try enter()
    var members: [(key: String, value: JSONValue)] = []
    skipSpace()
    if current == UInt8(ascii: "}") {
      index += 1
      depth -= 1
      return .object(members)
    }
    while true {
      skipSpace()
      guard current == UInt8(ascii: "\"") else { throw fail("expected a key") }
      let key = try string()
      skipSpace()
      try expect(":")
      members.append((key, try value()))
      skipSpace()
      if current == UInt8(ascii: ",") {
        index += 1
      } else {
        try expect("}")
        depth -= 1
        return .object(members)
      }
    }
  }

  private mutating func array() throws(TokenizerError) -> JSONValue {
    try enter()
    var items: [JSONValue] = []
    skipSpace()
    if current == UInt8(ascii: "]") {
      index += 1
      depth -= 1
      return .array(items)
    }
    while true {
      items.append(try value())
      skipSpace()
      if current == UInt8(ascii: ",") {
        index += 1
      } else {
        try expect("]")
        depth -= 1
        return .array(items)
      }
    }
  }

  private mutating func number() throws(TokenizerError) -> Double {
    let start = index
    while let byte = current {
      switch byte {
      case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "+"),
        UInt8(ascii: "."), UInt8(ascii: "e"), UInt8(ascii: "E"):
        index += 1
        continue
      default: break
      }
      break
    }
    guard index > start, index - start <= 64,
      let value = Double(String(decoding: bytes[start..<index], as: UTF8.self)), value.isFinite
    else {
      index = start
      throw fail("expected a value")
    }
    return value
  }

  private mutating func hex4() throws(TokenizerError) -> UInt32 {
    guard bytes.count - index >= 4 else { throw fail("the document ends in an escape") }
    var value: UInt32 = 0
    for _ in 0..<4 {
      let byte = bytes[index]
      let digit: UInt8
      switch byte {
      case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = byte - UInt8(ascii: "0")
      case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = byte - UInt8(ascii: "a") + 10
      case UInt8(ascii: "A")...UInt8(ascii: "F"): digit = byte - UInt8(ascii: "A") + 10
      default: throw fail("expected four hexadecimal digits")
      }
      value = value << 4 | UInt32(digit)
      index += 1
    }
    return value
  }

  private mutating func string() throws(TokenizerError) -> String {
    index += 1
    var text: [UInt8] = []
    while true {
      guard let byte = current else { throw fail("the document ends in a string") }
      switch byte {
      case UInt8(ascii: "\""):
        index += 1
        guard let string = String(validating: text, as: UTF8.self) else {
          throw fail("a string is not UTF-8")
        }
        return string
      case UInt8(ascii: "\\"):
        index += 1
        try escape(into: &text)
      case 0..<0x20: throw fail("a control character in a string")
      default:
        text.append(byte)
        index += 1
      }
    }
  }

  private mutating func escape(into text: inout [UInt8]) throws(TokenizerError) {
    guard let byte = current else { throw fail("the document ends in an escape") }
    index += 1
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(byte)
    case UInt8(ascii: "b"): text.append(0x08)
    case UInt8(ascii: "f"): text.append(0x0C)
    case UInt8(ascii: "n"): text.append(0x0A)
    case UInt8(ascii: "r"): text.append(0x0D)
    case UInt8(ascii: "t"): text.append(0x09)
    case UInt8(ascii: "u"):
      var value = try hex4()
      if value & 0xFC00 == 0xD800 {
        try expect("\\u")
        let low = try hex4()
        guard low & 0xFC00 == 0xDC00 else { throw fail("half of a surrogate pair") }
        value = 0x10000 + (value & 0x3FF) << 10 + (low & 0x3FF)
      }
      guard let scalar = Unicode.Scalar(value) else { throw fail("half of a surrogate pair") }
      text.append(contentsOf: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
    default: throw fail("unknown escape")
    }
  }
}
