import Support
import Testing

@testable import Tokenizers

@Suite struct EncodeTests {
  private func pieces(_ tokenizer: Tokenizer, _ text: String, special: Bool = true) -> [String] {
    tokenizer.encode(text, addBOS: false, parseSpecial: special)
      .map { String(decoding: tokenizer.bytes(of: $0, special: true), as: UTF8.self) }
  }

  @Test func scoresDecideWhatMerges() throws {
    let tokenizer = try Sample.scored()
    #expect(pieces(tokenizer, "the there") == [" the", " the", "re"])
    #expect(pieces(tokenizer, "xaaaaa") == [" ", "x", "aa", "aaa"])
    // Of equal scores the leftmost merges first.
    #expect(pieces(tokenizer, "xbab") == [" ", "x", "ba", "b"])
    #expect(pieces(tokenizer, "a    b") == [" a", "    ", "b"])
  }

  @Test func characterWithoutPieceBecomesBytes() throws {
    let tokenizer = try Sample.scored()
    #expect(
      tokenizer.encode("🙂", addBOS: true)
        == [1, tokenizer.token(named: " ")!] + [0xF0, 0x9F, 0x99, 0x82].map { 3 + $0 })
    #expect(try Sample.scored(bytes: false).encode("Q", addBOS: false).last == 0)
  }

  @Test func lowLineIsASpaceOnlyWhereAsked() throws {
    #expect(pieces(try Sample.scored(prefix: .never), "▁the") == [" the"])
    #expect(
      try Sample.scored(lowLine: false).decode(
        try Sample.scored(lowLine: false).encode("▁the")) == "▁the")
  }

  @Test func spacePrefixes() throws {
    #expect(pieces(try Sample.scored(prefix: .never), "the") == ["t", "he"])
    #expect(pieces(try Sample.scored(prefix: .unlessPresent), " the") == [" the"])
    #expect(pieces(try Sample.scored(prefix: .always), "the<s>the") == [" the", "<s>", " the"])
    #expect(
      pieces(try Sample.scored(prefix: .firstUnlessPresent), "the<s> the")
        == [" the", "<s>", " the"])
  }

  @Test func controlTokensOnlyWhenAsked() throws {
    let tokenizer = try Sample.merging(.gpt2)
    #expect(pieces(tokenizer, "a<|endoftext|>b") == ["a", "<|endoftext|>", "b"])
    #expect(pieces(tokenizer, "a<|end|>") == ["a", "<|end|>"])
    #expect(!tokenizer.encode("a<|end|>", parseSpecial: false).contains(0))
    // User-defined tokens are found in any case.
    let scored = try Sample.scored()
    let tool = try #require(scored.token(named: "<tool>"))
    #expect(scored.encode("a<tool>", parseSpecial: false).contains(tool))
    #expect(!scored.encode("<s>", addBOS: false, parseSpecial: false).contains(1))
  }

  @Test func ranksDecideWhatMerges() throws {
    #expect(pieces(try Sample.merging(.gpt2), " the12345") == [" the", "123", "4", "5"])
    #expect(pieces(try Sample.merging(.smollm), " 12") == [" ", "1", "2"])
    #expect(pieces(try Sample.merging(.gpt2), " 12") == [" ", "12"])
    #expect(pieces(try Sample.merging(.gpt2), "x qux") == ["x", " ", "q", "u", "x"])
    #expect(
      pieces(try Sample.merging(.llama3, wholeWordFirst: true), "x qux") == ["x", " qux"])
  }

  @Test(arguments: [
    (
      PreTokenizer.gpt2, "I'll  go 12 ft!\n\n x ",
      ["I", "'ll", " ", " go", " 12", " ft", "!", "\n\n", " x", " "]
    ),
    (.gpt2, "a\u{3000}b ½٣ e\u{301}", ["a", "\u{3000}", "b", " ½٣", " e", "\u{301}"]),
    (.smollm, "a  12b '3", ["a", "  ", "1", "2", "b", " '", "3"]),
    (.smollm, "\n1\n\n1 \n", ["\n", "1", "\n\n", "1", " \n"]),
    (
      .llama3, "I'LL 12345 go!\n\n  x\n y ",
      ["I", "'LL", " ", "123", "45", " go", "!\n\n", " ", " x", "\n", " y", " "]
    ),
    (.llama3, "(x) \t\n  z'ſ", ["(x", ")", " \t\n", " ", " z", "'ſ"]),
    (.qwen2, "a12\r\n\r\n b", ["a", "1", "2", "\r\n\r\n", " b"]),
  ])
  func words(_ preTokenizer: PreTokenizer, _ text: String, _ expected: [String]) {
    let bytes = Array(text.utf8)
    var words: [String] = []
    bytes.withUnsafeBufferPointer { text in
      var start = 0
      while start < text.count {
        let end = preTokenizer.wordEnd(text, from: start, to: text.count)
        words.append(String(decoding: text[start..<end], as: UTF8.self))
        start = end
      }
    }
    #expect(words == expected)
  }

  @Test func emptyText() throws {
    #expect(try Sample.scored().encode("") == [1])
    #expect(try Sample.merging(.gpt2).encode("") == [])
    #expect(try Sample.scored().decode([]) == "")
  }

  @Test func decodingGivesTheTextBack() throws {
    let tokenizers = [
      try Sample.scored(lowLine: false), try Sample.scored(prefix: .never, lowLine: false),
      try Sample.merging(.gpt2), try Sample.merging(.smollm), try Sample.merging(.llama3),
      try Sample.merging(.qwen2, wholeWordFirst: true),
    ]
    var random = SplitMix64(seed: 7)
    for _ in 0..<300 {
      let text = Sample.text(&random, parts: Int(random.next() % 40))
      for tokenizer in tokenizers {
        let ids = tokenizer.encode(text, addBOS: false)
        #expect(tokenizer.decode(ids, special: true).utf8.elementsEqual(text.utf8))
        var streaming = StreamingDecoder(tokenizer, special: true, atStart: true)
        let streamed = ids.map { streaming.append($0) }.joined() + streaming.finish()
        #expect(streamed.utf8.elementsEqual(text.utf8))
      }
    }
  }

  @Test func streamingHoldsCharactersBack() throws {
    let tokenizer = try Sample.merging(.gpt2)
    var decoder = StreamingDecoder(tokenizer)
    let parts = tokenizer.encode("a🙂b").map { decoder.append($0) }
    #expect(parts == ["a", "", "", "", "🙂", "b"])
    _ = decoder.append(tokenizer.encode("🙂")[0])
    #expect(decoder.finish() == "\u{FFFD}")
  }

  @Test func continuationKeepsItsSpace() throws {
    let tokenizer = try Sample.scored()
    let ids = tokenizer.encode("the a")
    #expect(tokenizer.decode(ids) == "the a")
    #expect(tokenizer.decode(Array(ids.dropFirst(2)), atStart: false) == " a")
    #expect(tokenizer.bytes(of: 1).isEmpty && tokenizer.bytes(of: -1).isEmpty)
    #expect(tokenizer.bytes(of: 1, special: true) == Array("<s>".utf8))
  }

  @Test func longWordsTakeNoQuadraticTime() throws {
    let tokenizer = try Sample.merging(.gpt2)
    let text = String(repeating: "a", count: 300_000)
    #expect(tokenizer.encode(text).count == 150_000)
    #expect(try Sample.scored().encode(text, addBOS: false).count > 99_000)
  }
}
