/// The kinds of characters that pre-tokenisers tell apart.
enum UnicodeClass: UInt8 {
  /// Anything else: punctuation, symbols, marks, unassigned.
  case other = 0
  /// General category L*.
  case letter = 1
  /// General category N*.
  case number = 2
  /// The White_Space property.
  case space = 3

  /// The class of a scalar by the Swift library's own tables; the source of the generated ones.
  init(deriving scalar: Unicode.Scalar) {
    if scalar.properties.isWhitespace {
      self = .space
      return
    }
    switch scalar.properties.generalCategory {
    case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter:
      self = .letter
    case .decimalNumber, .letterNumber, .otherNumber: self = .number
    default: self = .other
    }
  }
}

/// The class of every code point, as the sorted list of places where the class changes.
///
/// An entry is `first code point << 2 | class` and holds up to the next one. The list is generated
/// and committed (so that the same blob is written by every toolchain), and travels in the binary
/// blob (so that the device has the very same table without a copy in its C source).
enum UnicodeClasses {
  /// The list for this machine's Swift library, from which the committed one is recorded.
  static func derived() -> [UInt32] {
    var changes: [UInt32] = []
    var current: UnicodeClass?
    for value in UInt32(0)...0x10FFFF {
      // Surrogates are no scalars; they never occur in text.
      let kind = Unicode.Scalar(value).map(UnicodeClass.init(deriving:)) ?? .other
      if kind != current {
        changes.append(value << 2 | UInt32(kind.rawValue))
        current = kind
      }
    }
    return changes
  }

  /// The class of a code point, which may lie outside Unicode.
  @inline(__always)
  static func of(_ value: UInt32) -> UnicodeClass {
    switch value {
    case 0x61...0x7A, 0x41...0x5A: .letter
    case 0x20, 0x09...0x0D: .space
    case 0x30...0x39: .number
    case 0..<0x80: .other
    default: search(value)
    }
  }

  private static func search(_ value: UInt32) -> UnicodeClass {
    var low = 0
    var high = changes.count
    while high - low > 1 {
      let middle = (low + high) / 2
      if changes[middle] >> 2 <= value { low = middle } else { high = middle }
    }
    return UnicodeClass(rawValue: UInt8(truncatingIfNeeded: changes[low] & 3)) ?? .other
  }
}

/// One character read from UTF-8.
///
/// The rule for bytes that are not UTF-8 is part of the contract with the C tokenizer: a byte that
/// starts no complete sequence is one character of class `other`; overlong forms are not looked for.
struct UTF8Character {
  /// How many bytes it takes, at least 1.
  var count: Int
  /// The code point; U+FFFD for a byte that is not UTF-8.
  var value: UInt32

  /// Reads the character at `index`, which is below `end`.
  @inline(__always)
  init(_ text: UnsafeBufferPointer<UInt8>, at index: Int, end: Int) {
    let lead = UInt32(text[index])
    count = 1
    value = lead
    if lead < 0x80 { return }
    let length: Int
    switch lead {
    case 0xC0..<0xE0: (length, value) = (2, lead & 0x1F)
    case 0xE0..<0xF0: (length, value) = (3, lead & 0x0F)
    case 0xF0..<0xF8: (length, value) = (4, lead & 0x07)
    default: (length, value) = (1, 0xFFFD)
    }
    if length > end - index {
      value = 0xFFFD
      return
    }
    var offset = 1
    while offset < length {
      let next = UInt32(text[index + offset])
      if next & 0xC0 != 0x80 {
        value = 0xFFFD
        return
      }
      value = value << 6 | next & 0x3F
      offset += 1
    }
    count = length
  }
}
