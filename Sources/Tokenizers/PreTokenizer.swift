/// How text is cut into words before the bytes of each word are merged.
///
/// Each case is the regular expression of a well-known tokenizer, implemented by hand over UTF-8.
/// GGUF names them in `tokenizer.ggml.pre`, `tokenizer.json` spells them out.
public enum PreTokenizer: UInt8, Sendable, CaseIterable {
  /// No cutting.
  case none = 0
  /// GPT-2: contractions, then runs of letters, of numbers, of the rest, each with one space before.
  /// `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
  case gpt2 = 1
  /// SmolLM, StarCoder and others: each numeral stands alone, what is between goes through GPT-2's.
  case smollm = 2
  /// Llama 3: as GPT-2, but contractions in any case, a letter run takes any one character before
  /// it, numbers go by up to three digits, line ends stick to what they end.
  /// `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|`
  /// ` ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
  case llama3 = 3
  /// Qwen 2: as Llama 3, but each numeral stands alone.
  case qwen2 = 4

  /// The pre-tokeniser that GGUF calls `name`, or nil when it is not one of ours.
  public init?(ggufName name: String) {
    switch name {
    case "default", "gpt-2", "gpt2", "olmo": self = .gpt2
    case "smollm", "starcoder", "refact", "command-r", "codeshell", "exaone": self = .smollm
    case "llama3", "llama-v3", "llama-bpe", "falcon3", "smaug-bpe": self = .llama3
    case "qwen2", "deepseek-r1-qwen", "stablelm2": self = .qwen2
    default: return nil
    }
  }

  /// Where the word that starts at `start` ends. `start` is below `end`; the result is above `start`
  /// and at most `end`.
  func wordEnd(_ text: UnsafeBufferPointer<UInt8>, from start: Int, to end: Int) -> Int {
    switch self {
    case .none: return end
    case .gpt2: return Self.gpt2End(text, from: start, to: end, aloneNumbers: false)
    case .smollm: return Self.gpt2End(text, from: start, to: end, aloneNumbers: true)
    case .llama3: return Self.llama3End(text, from: start, to: end, digits: 3)
    case .qwen2: return Self.llama3End(text, from: start, to: end, digits: 1)
    }
  }

  /// The end of the run of characters of one class that starts at `start`.
  @inline(__always)
  private static func runEnd(
    _ text: UnsafeBufferPointer<UInt8>, from start: Int, to end: Int, of kind: UnicodeClass
  ) -> Int {
    var index = start
    while index < end {
      let character = UTF8Character(text, at: index, end: end)
      if UnicodeClasses.of(character.value) != kind { break }
      index += character.count
    }
    return index
  }

  /// The length of the English contraction ending (`'s`, `'re`…) at `start`, or 0.
  @inline(__always)
  private static func contraction(
    _ text: UnsafeBufferPointer<UInt8>, from start: Int, to end: Int, anyCase: Bool
  ) -> Int {
    guard text[start] == 0x27, end - start >= 2 else { return 0 }
    let fold: UInt8 = anyCase ? 0x20 : 0
    let first = text[start + 1] | (text[start + 1] < 0x80 ? fold : 0)
    switch first {
    case 0x73, 0x74, 0x6D, 0x64: return 2
    case 0x72, 0x76, 0x6C:
      guard end - start >= 3 else { return 0 }
      let second = text[start + 2] | (text[start + 2] < 0x80 ? fold : 0)
      return second == (first == 0x6C ? 0x6C : 0x65) ? 3 : 0
    default:
      // U+017F, the long s, is an s when case does not matter.
      let isLongS = anyCase && first == 0xC5 && end - start >= 3 && text[start + 2] == 0xBF
      return isLongS ? 3 : 0
    }
  }

  /// The end of a run of spaces that starts at `start`: all of it at the end of the text (or of what
  /// `limit` cuts off), else all but the last character, which belongs to the next word.
  private static func spaceEnd(
    _ text: UnsafeBufferPointer<UInt8>, from start: Int, to end: Int, aloneNumbers: Bool
  ) -> Int {
    var index = start
    var last = start
    while index < end {
      let character = UTF8Character(text, at: index, end: end)
      let kind = UnicodeClasses.of(character.value)
      if kind != .space {
        // Numerals that stand alone were cut off before, so that the text ends here.
        if aloneNumbers && kind == .number { return index }
        return last > start ? last : index
      }
      last = index
      index += character.count
    }
    return index
  }

  private static func gpt2End(
    _ text: UnsafeBufferPointer<UInt8>, from start: Int, to end: Int, aloneNumbers: Bool
  ) -> Int {
    let length = contraction(text, from: start, to: end, anyCase: false)
    if length > 0 { return start + length }
    var body = start
    if text[start] == 0x20 && start + 1 < end { body += 1 }
    let character = UTF8Character(text, at: body, end: end)
    let kind = UnicodeClasses.of(character.value)
    switch kind {
    case .space:
      return spaceEnd(text, from: start, to: end, aloneNumbers: aloneNumbers)
    case .number where aloneNumbers:
      return body > start ? body : start + character.count
    default:
      return runEnd(text, from: body + character.count, to: end, of: kind)
    }
  }

  private static func llama3End(
    _ text: UnsafeBufferPointer<UInt8>, from start: Int, to end: Int, digits: Int
  ) -> Int {
    let length = contraction(text, from: start, to: end, anyCase: true)
    if length > 0 { return start + length }
    let first = UTF8Character(text, at: start, end: end)
    let firstKind = UnicodeClasses.of(first.value)
    let second = start + first.count
    if firstKind == .letter { return runEnd(text, from: second, to: end, of: .letter) }
    if firstKind == .number {
      var index = second
      var taken = 1
      while taken < digits && index < end {
        let character = UTF8Character(text, at: index, end: end)
        if UnicodeClasses.of(character.value) != .number { break }
        index += character.count
        taken += 1
      }
      return index
    }
    if second < end && first.value != 0x0A && first.value != 0x0D {
      let next = UTF8Character(text, at: second, end: end)
      if UnicodeClasses.of(next.value) == .letter {
        return runEnd(text, from: second + next.count, to: end, of: .letter)
      }
    }
    var body = start
    if text[start] == 0x20 && second < end { body = second }
    if UnicodeClasses.of(UTF8Character(text, at: body, end: end).value) == .other {
      var index = runEnd(text, from: body, to: end, of: .other)
      while index < end && (text[index] == 0x0A || text[index] == 0x0D) { index += 1 }
      return index
    }
    // Only white space is left: up to the last line end in the run, if there is one.
    let run = runEnd(text, from: start, to: end, of: .space)
    var index = run
    while index > start {
      if text[index - 1] == 0x0A || text[index - 1] == 0x0D { return index }
      index -= 1
    }
    return spaceEnd(text, from: start, to: end, aloneNumbers: false)
  }
}
