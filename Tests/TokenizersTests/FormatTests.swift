import Foundation
import Support
import TestKit
import Testing

@testable import Tokenizers

/// llama2.c's file and GGUF's arrays, right and wrong.
@Suite struct FormatTests {
  /// A llama2.c file of the given pieces.
  static func llama2c(_ pieces: [(String, Float)], longest: UInt32 = 16) -> [UInt8] {
    var bytes: [UInt8] = []
    func word(_ value: UInt32) {
      for shift in stride(from: UInt32(0), to: 32, by: 8) {
        bytes.append(UInt8(truncatingIfNeeded: value >> shift))
      }
    }
    word(longest)
    for (piece, score) in pieces {
      word(score.bitPattern)
      word(UInt32(piece.utf8.count))
      bytes += Array(piece.utf8)
    }
    return bytes
  }

  static let small: [(String, Float)] = [
    ("<unk>", 0), ("\n<s>\n", 0), ("\n</s>\n", 0), ("<0x41>", 0), (" ", -1), ("a", -2), (" a", -3),
  ]

  @Test func llama2cFile() throws {
    let tokenizer = try Tokenizer(llama2c: Self.llama2c(Self.small), vocabularySize: 7)
    #expect(tokenizer.encode("a A") == [1, 6, 4, 3])
    #expect(tokenizer.type(of: 1) == .control && tokenizer.token(named: "</s>") == 2)
    #expect(tokenizer.count == 7)
  }

  @Test func llama2cFaults() {
    let good = Self.llama2c(Self.small)
    for count in 0..<good.count {
      #expect(throws: TokenizerError.self) {
        try Tokenizer(llama2c: Array(good.prefix(count)), vocabularySize: 7)
      }
    }
    #expect(throws: TokenizerError.self) { try Tokenizer(llama2c: good, vocabularySize: 6) }
    #expect(
      throws: TokenizerError.vocabularyMismatch(what: "tokens", expected: 8, found: 7)
    ) { try Tokenizer(llama2c: good, vocabularySize: 8) }
    #expect(throws: TokenizerError.badScore(id: 4)) {
      var pieces = Self.small
      pieces[4].1 = .nan
      _ = try Tokenizer(llama2c: Self.llama2c(pieces))
    }
    #expect(throws: TokenizerError.duplicatePiece("a", first: 5, second: 6)) {
      var pieces = Self.small
      pieces[6].0 = "a"
      _ = try Tokenizer(llama2c: Self.llama2c(pieces))
    }
    #expect(throws: TokenizerError.self) {
      try Tokenizer(llama2c: Self.llama2c(Self.small, longest: 3))
    }
    #expect(throws: TokenizerError.self) {
      try Tokenizer(llama2c: Self.llama2c(Self.small, longest: 1 << 31))
    }
  }

  @Test func fuzzedLlama2cNeverTraps() {
    var random = SplitMix64(seed: 3)
    let good = Self.llama2c(Self.small)
    for _ in 0..<3000 {
      var bytes = good
      for _ in 0..<(1 + random.next() % 4) {
        bytes[Int(random.next() % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: random.next())
      }
      if let tokenizer = try? Tokenizer(llama2c: bytes) { _ = tokenizer.encode("a Aé <s>") }
    }
  }

  @Test func ggufEntries() throws {
    var gguf = GGUFTokenizer(
      model: "llama", tokens: ["<unk>", "<s>", "</s>", "▁", "a", "▁a"],
      scores: [0, 0, 0, -1, -2, -3], tokenTypes: [2, 3, 3, 1, 1, 1], bos: 1, eos: 2)
    #expect(try Tokenizer(gguf: gguf).encode("a a") == [1, 5, 5])
    gguf.addsBOS = false
    gguf.addsSpacePrefix = false
    #expect(try Tokenizer(gguf: gguf).encode("a a") == [4, 5])
    func refused(_ change: (inout GGUFTokenizer) -> Void) {
      var damaged = gguf
      change(&damaged)
      #expect(throws: TokenizerError.self) { try Tokenizer(gguf: damaged) }
    }
    refused { $0.scores = nil }
    refused { $0.scores?.removeLast() }
    refused { $0.tokenTypes?.removeLast() }
    refused { $0.tokenTypes?[3] = 9 }
    refused { $0.tokenTypes?[3] = -1 }
    refused { $0.tokenTypes?[3] = 6 }
    refused { $0.bos = 6 }
    refused { $0.eos = .max }
    refused { $0.model = "t5" }
    refused { $0.tokens = [] }
    refused { $0.scores?[0] = .infinity }
    refused { $0.model = "gpt2" }
  }

  @Test func ggufMerges() throws {
    let gguf = GGUFTokenizer(
      model: "gpt2", pre: "smollm", tokens: ["<e>", "a", "b", "ab", "Ġ", "Ġab", "1"],
      tokenTypes: [3, 1, 1, 1, 1, 1, 1], merges: ["a b", "Ġ ab"], bos: 0, eos: 0)
    #expect(try Tokenizer(gguf: gguf).encode("ab ab1<e>") == [3, 5, 6, 0])
    // A byte without token is left out, as the reference tokenizers do.
    #expect(try Tokenizer(gguf: gguf).encode("aXb") == [3])
    func refused(_ change: (inout GGUFTokenizer) -> Void) {
      var damaged = gguf
      change(&damaged)
      #expect(throws: TokenizerError.self) { try Tokenizer(gguf: damaged) }
    }
    refused { $0.merges = nil }
    refused { $0.merges = ["a c"] }
    refused { $0.merges = ["b a"] }
    refused { $0.merges = ["a b", "a b"] }
    refused { $0.merges = ["ab"] }
    refused { $0.merges = ["a b "] }
    refused { $0.merges = [" a"] }
    refused { $0.pre = "nonesuch" }
    refused { $0.tokens[2] = "a" }
  }

  @Test(.enabled(if: SharedData.exists("models/stories260K/reference.json"), "needs the models"))
  func storiesPrompts() throws {
    let tokenizer = try SharedTokenizers.stories()
    let reference = try JSONValue(
      parsing: try SharedTokenizers.bytes("models/stories260K/reference.json"))
    guard case .object(let members) = reference else {
      Issue.record("not an object")
      return
    }
    var checked = 0
    for (prompt, value) in members {
      guard let ids = value["prompt_ids"]?.array, let text = value["text"]?.string,
        let output = value["out_ids"]?.array
      else { continue }
      checked += 1
      #expect(tokenizer.encode(prompt) == ids.compactMap { $0.integer.map { Int32($0) } })
      // The reference writes byte tokens by their names.
      #expect(
        tokenizer.decode(output.compactMap { $0.integer.map { Int32($0) } }, atStart: false)
          == text.replacingOccurrences(of: "<0x0A>", with: "\n"))
    }
    #expect(checked == 3)
  }

  @Test func crcOfTheStandardCheckText() {
    #expect(CRC32.checksum(Array("123456789".utf8)) == 0xCBF4_3926)
    var crc = CRC32()
    crc.update(Array("1234".utf8))
    crc.update(Array("56789".utf8))
    #expect(crc.value == 0xCBF4_3926 && CRC32.checksum([UInt8]()) == 0)
  }
}
