import Testing

@testable import Tokenizers

@Suite struct HuggingFaceTests {
  /// A character-level vocabulary with byte fallback, as Llama 2's `tokenizer.json` is laid out.
  static let characters = """
    {"version": "1.0", "added_tokens": [
      {"id": 0, "content": "<unk>", "special": true, "lstrip": false},
      {"id": 1, "content": "<s>", "special": true}],
     "normalizer": {"type": "Sequence", "normalizers": [
       {"type": "Prepend", "prepend": "\u{2581}"},
       {"type": "Replace", "pattern": {"String": " "}, "content": "\u{2581}"}]},
     "pre_tokenizer": null,
     "post_processor": {"type": "TemplateProcessing",
       "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A"}}]},
     "model": {"type": "BPE", "unk_token": "<unk>", "fuse_unk": true, "byte_fallback": true,
       "vocab": {"<unk>": 0, "<s>": 1, "<0x41>": 2, "\\u2581": 3, "h": 4, "i": 5, "\\u2581h": 6,
         "\\u2581hi": 7, "é": 8, "e\u{301}": 9},
       "merges": [["\u{2581}", "h"], ["\u{2581}h", "i"]]}}
    """

  static func byteLevel(_ preTokenizer: String, extra: String = "") -> String {
    let bytes = (0..<256).map { "\(escaped(ByteLevelAlphabet.encode([UInt8($0)]))): \($0)" }
    return """
      {"added_tokens": [{"id": 257, "content": "<|im_end|>", "special": true}], \(extra)
       "pre_tokenizer": \(preTokenizer),
       "model": {"type": "BPE", "vocab": {\(bytes.joined(separator: ", ")), "\u{120}a": 256},
         "merges": ["\u{120} a"]}}
      """
  }

  private static func escaped(_ text: String) -> String {
    text == "\"" || text == "\\" ? "\"\\\(text)\"" : "\"\(text)\""
  }

  @Test func characterLevelWithByteFallback() throws {
    let tokenizer = try Tokenizer(huggingFaceJSON: Array(Self.characters.utf8))
    #expect(tokenizer.options.bos == 1 && tokenizer.options.addsBOS)
    // The two spellings of é are canonically equivalent, and two tokens all the same.
    #expect(tokenizer.encode("hi Aé hi") == [1, 7, 3, 2, 8, 7])
    #expect(tokenizer.encode("QQ", addBOS: false) == [3, 0])
    #expect(tokenizer.decode(tokenizer.encode("hi hi")) == "hi hi")
  }

  @Test func preTokenizersAreRecognised() throws {
    let gpt2 = #"{"type": "ByteLevel", "add_prefix_space": false, "use_regex": true}"#
    #expect(try tokenizer(gpt2).preTokenizer == .gpt2)
    #expect(
      try tokenizer(
        #"{"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": true}, \#(gpt2)]}"#
      ).preTokenizer == .smollm)
    let plain = #"{"type": "ByteLevel", "add_prefix_space": false, "use_regex": false}"#
    for (digits, expected) in [("{1,3}", PreTokenizer.llama3), ("", .qwen2)] {
      let pattern =
        #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}"# + digits
        + #"| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"#
      let json =
        #"{"type": "Sequence", "pretokenizers": [{"type": "Split", "pattern": {"Regex": "\#(pattern)"}, "behavior": "Isolated", "invert": false}, \#(plain)]}"#
      #expect(try tokenizer(json).preTokenizer == expected)
    }
    #expect(try tokenizer(gpt2).encode(" a<|im_end|>") == [256, 257])
    #expect(try tokenizer(gpt2).options.eos == 257)
  }

  private func tokenizer(_ preTokenizer: String) throws -> Tokenizer {
    try Tokenizer(huggingFaceJSON: Array(Self.byteLevel(preTokenizer).utf8))
  }

  @Test(arguments: [
    #"{"type": "ByteLevel", "add_prefix_space": true}"#, #"{"type": "Whitespace"}"#,
    #"{"type": "Split", "pattern": {"Regex": "x"}, "behavior": "Isolated"}"#, "null",
  ])
  func unknownPreTokenizersAreRefused(_ json: String) {
    #expect(throws: TokenizerError.self) { try tokenizer(json) }
  }

  @Test(arguments: [
    ("\"\u{2581}h\": 6", "\"\u{2581}h\": 5"), (#""i": 5"#, #""i": 50"#), (#""i": 5"#, #""i": -5"#),
    (#""i": 5"#, #""i": 1e30"#), (#""BPE""#, #""Unigram""#), (#""<unk>", "fuse"#, #""<x>", "fuse"#),
    ("[\"\u{2581}\", \"h\"]", "[\"x\", \"h\"]"), ("[\"\u{2581}\", \"h\"]", "[\"h\", \"h\"]"),
    ("[\"\u{2581}\", \"h\"]", "[\"h\"]"), ("[\"\u{2581}\", \"h\"]", "7"),
    (#""lstrip": false"#, #""lstrip": true"#), (#""vocab""#, #""words""#), ("Prepend", "NFKC"),
    (#""<s>", "type_id""#, #""<q>", "type_id""#), (#""i": 5"#, #""i": 5, "i": 5"#),
  ])
  func faultsAreRefused(_ old: String, _ new: String) throws {
    let text = Self.characters.replacingOccurrencesOnce(
      of: old.replacingLowLines, with: new.replacingLowLines)
    let damaged = try #require(text, "the fault is not in the text")
    #expect(throws: TokenizerError.self) { try Tokenizer(huggingFaceJSON: Array(damaged.utf8)) }
  }

  @Test func truncatedJSONIsRefused() {
    let bytes = Array(Self.characters.utf8)
    for count in 0..<bytes.count {
      #expect(throws: TokenizerError.self) {
        try Tokenizer(huggingFaceJSON: Array(bytes.prefix(count)))
      }
    }
  }

  @Test func deepNestingIsRefused() {
    let deep = [UInt8](repeating: UInt8(ascii: "["), count: 100_000)
    #expect(throws: TokenizerError.self) { try Tokenizer(huggingFaceJSON: deep) }
  }
}

extension String {
  /// The vocabulary above writes U+2581 as an escape, the merges as the character.
  fileprivate var replacingLowLines: String {
    hasSuffix(": 6") || hasSuffix(": 5") && hasPrefix("\"\u{2581}")
      ? "\"\\u2581" + dropFirst(2) : self
  }

  /// The text with the first `old` replaced, or nil when there is none.
  fileprivate func replacingOccurrencesOnce(of old: String, with new: String) -> String? {
    guard let range = firstRange(of: old) else { return nil }
    return replacingCharacters(in: range, with: new)
  }

  private func replacingCharacters(in range: Range<Index>, with new: String) -> String {
    String(self[..<range.lowerBound]) + new + self[range.upperBound...]
  }
}
