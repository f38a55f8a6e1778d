import Foundation
import Support
import TestKit

@testable import Tokenizers

/// Small vocabularies, and random text to try them on.
enum Sample {
  /// Scored pieces: specials, the 256 bytes, letters and some words.
  static func scored(
    prefix: SpacePrefix = .always, bytes: Bool = true, lowLine: Bool = true
  ) throws -> Tokenizer {
    var pieces = ["<unk>", "<s>", "</s>"]
    var types: [TokenType] = [.unknown, .control, .control]
    var scores: [Float] = [0, 0, 0]
    if bytes {
      for byte in 0..<256 {
        let hex = String(byte, radix: 16, uppercase: true)
        pieces.append("<0x\(hex.count == 1 ? "0" + hex : hex)>")
        types.append(.byte)
        scores.append(0)
      }
    }
    let words = [
      "▁t", "he", "▁the", "in", "▁a", "er", "▁▁", "on", "re", "▁s", "▁▁▁▁", "th", "▁re", "ing",
      "é", "▁é", "日本", "日", "ab", "ba", "aba", "aa", "aaa",
    ]
    for (index, word) in words.enumerated() {
      pieces.append(word)
      types.append(.normal)
      // Some scores are equal, to try ties.
      scores.append(-Float(index / 2))
    }
    for (index, letter) in "▁abcdefghijklmnopqrstuvwxyz.,!本".unicodeScalars.enumerated() {
      pieces.append(String(letter))
      types.append(.normal)
      scores.append(-100 - Float(index))
    }
    pieces.append("<tool>")
    types.append(.userDefined)
    scores.append(0)
    return try Tokenizer(
      pieces: pieces, scores: scores, types: types,
      options: TokenizerOptions(bos: 1, eos: 2, unknown: 0, addsBOS: true, spacePrefix: prefix),
      lowLineIsSpace: lowLine)
  }

  /// Byte-level: all bytes, a chain of merges learnt by hand, two special tokens.
  static func merging(
    _ preTokenizer: PreTokenizer, wholeWordFirst: Bool = false
  ) throws -> Tokenizer {
    var vocabulary = ["<|end|>", "<|endoftext|>"]
    vocabulary += (0..<256).map { ByteLevelAlphabet.encode([UInt8($0)]) }
    var merges: [String] = []
    let pairs =
      [
        (" ", "t"), ("h", "e"), (" t", "he"), ("i", "n"), (" ", "a"), ("e", "r"), (" ", " "),
        ("1", "2"), ("12", "3"), ("'", "s"), ("\n", "\n"), ("é".utf8Head, "é".utf8Tail), ("a", "a"),
        ("aa", "a"), ("in", "g"), (" ", "1"), ("l", "l"), ("'", "ll"),
      ] as [(LosslessBytes, LosslessBytes)]
    for (left, right) in pairs {
      let (a, b) = (ByteLevelAlphabet.encode(left.bytes), ByteLevelAlphabet.encode(right.bytes))
      vocabulary.append(a + b)
      merges.append("\(a) \(b)")
    }
    // A word that no merge makes: found as a whole, or not at all.
    vocabulary.append(ByteLevelAlphabet.encode(" qux".utf8))
    return try Tokenizer(
      vocabulary: vocabulary,
      types: vocabulary.indices.map { $0 < 2 ? .control : .normal }, merges: merges,
      preTokenizer: preTokenizer, options: TokenizerOptions(bos: 0, eos: 1),
      wholeWordFirst: wholeWordFirst)
  }

  /// Characters from many scripts, white space, digits, contractions, special tokens.
  static func text(_ random: inout SplitMix64, parts: Int) -> String {
    let fixed = [
      "the", " the", "ing", "'s", "'LL", "'re", "'ſ", "  ", "\n", "\r\n", "\t ", "123", "1234567",
      "٣٤", "Ⅷ", "½", "é", "e\u{301}", "日本", "🙂", "▁", "<s>", "<|end|>", "<|endoftext|>",
      "<tool>", "aaaa", "abab", " qux", "...", " !", "\u{A0}", "\u{3000}", "\u{85}", "\u{0}", "ß",
    ]
    var text = ""
    for _ in 0..<parts {
      switch random.next() % 8 {
      case 0:
        let value = UInt32(truncatingIfNeeded: random.next() % 0x11_0000)
        if let scalar = Unicode.Scalar(value) { text.unicodeScalars.append(scalar) }
      case 1:
        let value = UInt32(truncatingIfNeeded: random.next() % 0x800)
        if let scalar = Unicode.Scalar(value) { text.unicodeScalars.append(scalar) }
      case 2, 3:
        text.unicodeScalars.append(Unicode.Scalar(UInt8(0x20 + random.next() % 0x5F)))
      default: text += fixed[Int(random.next() % UInt64(fixed.count))]
      }
    }
    return text
  }

  /// Bytes that are often not UTF-8.
  static func bytes(_ random: inout SplitMix64, count: Int) -> [UInt8] {
    let likely: [UInt8] = [0x20, 0x61, 0xE2, 0x96, 0x81, 0xC3, 0xA9, 0xF0, 0x9F, 0x31, 0x27, 0x0A]
    return (0..<count).map { _ in
      random.next() % 4 == 0
        ? UInt8(truncatingIfNeeded: random.next() >> 8)
        : likely[Int(random.next() % UInt64(likely.count))]
    }
  }
}

/// Text or raw bytes in a literal table.
struct LosslessBytes: ExpressibleByStringLiteral {
  var bytes: [UInt8]
  init(stringLiteral text: String) { bytes = Array(text.utf8) }
  init(_ bytes: [UInt8]) { self.bytes = bytes }
}

extension String {
  /// The first byte.
  var utf8Head: LosslessBytes { LosslessBytes(Array(utf8.prefix(1))) }
  /// All bytes but the first.
  var utf8Tail: LosslessBytes { LosslessBytes(Array(utf8.dropFirst())) }
}

extension Tokenizer {
  /// The ids of bytes.
  func encode(bytes: [UInt8], addBOS: Bool? = nil, parseSpecial: Bool = true) -> [Int32] {
    bytes.withUnsafeBufferPointer {
      encode(utf8: $0, addBOS: addBOS, parseSpecial: parseSpecial)
    }
  }
}

/// The real tokenizers beside the checkout.
enum SharedTokenizers {
  static func bytes(_ path: String) throws -> [UInt8] {
    [UInt8](try Data(contentsOf: SharedData.url(path)))
  }

  /// GPT-2 from its two files.
  static func gpt2() throws -> Tokenizer {
    let json = try JSONValue(parsing: try bytes("models/gpt2_vocab.json"))
    guard case .object(let members) = json else { throw TokenizerError.malformed("", offset: 0) }
    var vocabulary = [String](repeating: "", count: members.count)
    for (piece, id) in members { vocabulary[id.integer ?? 0] = piece }
    let text = String(decoding: try bytes("models/gpt2_merges.txt"), as: UTF8.self)
    let merges = text.split(separator: "\n").map(String.init).filter { !$0.hasPrefix("#version") }
    let end = Int32(vocabulary.count - 1)
    return try Tokenizer(
      vocabulary: vocabulary, merges: merges, preTokenizer: .gpt2,
      options: TokenizerOptions(bos: end, eos: end))
  }

  /// llama2.c's 32,000 pieces.
  static func llama2() throws -> Tokenizer {
    try Tokenizer(llama2c: try bytes("models/llama2_tokenizer.bin"), vocabularySize: 32000)
  }

  /// The 512 pieces of stories260K.
  static func stories() throws -> Tokenizer {
    try Tokenizer(llama2c: try bytes("models/stories260K/tok512.bin"), vocabularySize: 512)
  }

  /// The texts beside the checkout.
  static let corpora = [
    "data/wikitext2_valid.txt", "data/tinystories_val.txt", "data/tinyshakespeare.txt",
  ]
}
