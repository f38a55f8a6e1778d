import DeviceRuntime
import Foundation
import Support
import TestKit
import Testing

@testable import Tokenizers

/// The C tokenizer against the Swift one, and against damage.
@Suite struct DeviceTokenizerTests {
  static func samples() throws -> [Tokenizer] {
    [
      try Sample.scored(), try Sample.scored(prefix: .never, bytes: false, lowLine: false),
      try Sample.scored(prefix: .unlessPresent), try Sample.scored(prefix: .firstUnlessPresent),
      try Sample.merging(.none), try Sample.merging(.gpt2), try Sample.merging(.smollm),
      try Sample.merging(.llama3, wholeWordFirst: true), try Sample.merging(.qwen2),
      try Tokenizer(huggingFaceJSON: Array(HuggingFaceTests.characters.utf8)),
    ]
  }

  @Test func blobReadsBack() throws {
    for tokenizer in try Self.samples() {
      let blob = tokenizer.blob()
      let again = try Tokenizer(blob: blob)
      #expect(again.blob() == blob)
      #expect(again.options == tokenizer.options)
      #expect(again.encode("the <s> 12 é") == tokenizer.encode("the <s> 12 é"))
    }
  }

  @Test func sameIdsOnRandomText() throws {
    var random = SplitMix64(seed: 11)
    for tokenizer in try Self.samples() {
      let device = CTokenizer(tokenizer.blob())
      #expect(device.status == SWL_TOKENIZER_OK)
      for round in 0..<300 {
        let text =
          round % 3 == 0
          ? Sample.bytes(&random, count: Int(random.next() % 60))
          : Array(Sample.text(&random, parts: Int(random.next() % 30)).utf8)
        let special = random.next() % 2 == 0
        let bos = [nil, true, false][Int(random.next() % 3)]
        let ids = tokenizer.encode(bytes: text, addBOS: bos, parseSpecial: special)
        #expect(device.encode(text, addBOS: bos, parseSpecial: special) == .success(ids))
        let atStart = random.next() % 2 == 0
        let decoded = device.decode(ids, special: special, atStart: atStart)
        #expect(
          decoded.map { String(decoding: $0, as: UTF8.self) }
            == tokenizer.decode(ids, special: special, atStart: atStart))
      }
      for id in -1...Int32(tokenizer.count) {
        for special in [false, true] {
          let expected = tokenizer.type(of: id).map { _ in tokenizer.bytes(of: id, special: special)
          }
          #expect(device.piece(id, special: special) == expected)
        }
      }
    }
  }

  @Test func smallBuffersAreRefused() throws {
    let tokenizer = try Sample.scored()
    let device = CTokenizer(tokenizer.blob())
    let text = Array("the ring in there".utf8)
    let ids = tokenizer.encode(bytes: text)
    #expect(
      device.encode(text, capacity: ids.count - 1)
        == .failure(CError(status: SWL_TOKENIZER_ERROR_CAPACITY.rawValue)))
    #expect(
      device.encode(text, scratchBytes: 40)
        == .failure(CError(status: SWL_TOKENIZER_ERROR_SCRATCH.rawValue)))
    // The longest word, with its space, has 6 bytes.
    #expect(device.encode(text, scratchBytes: 6 * 32) == .success(ids))
    for bytes in 0..<200 { _ = device.encode(text, scratchBytes: bytes) }
  }

  @Test func truncatedBlobsAreRefused() throws {
    for tokenizer in [try Sample.scored(), try Sample.merging(.smollm)] {
      let blob = tokenizer.blob()
      for count in Array(0..<200) + Array(stride(from: 200, to: blob.count, by: 37)) {
        let part = Array(blob.prefix(count))
        #expect(throws: TokenizerError.self) { try Tokenizer(blob: part) }
        #expect(CTokenizer(part).status != SWL_TOKENIZER_OK)
      }
    }
  }

  /// Damaged blobs with a right checksum: never a trap, and what opens can be used.
  @Test func damagedBlobsDoNoHarm() throws {
    var random = SplitMix64(seed: 23)
    var opened = 0
    for tokenizer in [try Sample.scored(), try Sample.merging(.gpt2), try Sample.merging(.llama3)] {
      let blob = tokenizer.blob()
      for round in 0..<1200 {
        var damaged = blob
        for _ in 0..<(1 + random.next() % 3) {
          let limit = round % 2 == 0 ? 100 : damaged.count
          let place = 4 + Int(random.next() % UInt64(limit - 4))
          damaged[place] = random.next() % 3 == 0 ? 0xFF : UInt8(truncatingIfNeeded: random.next())
        }
        let checksum = CRC32.checksum(damaged[12...])
        for index in 0..<4 {
          damaged[8 + index] = UInt8(truncatingIfNeeded: checksum >> (8 * index))
        }
        let text = Array("the <|end|> 12 aaa ▁é日本'll ".utf8)
        if let read = try? Tokenizer(blob: damaged) { _ = read.encode(bytes: text) }
        let device = CTokenizer(damaged)
        if device.status == SWL_TOKENIZER_OK {
          opened += 1
          if case .success(let ids) = device.encode(text) { _ = device.decode(ids) }
        }
      }
    }
    // The test would say nothing if all damage were caught at the door.
    #expect(opened > 100)
  }

  @Test func damageWithoutNewChecksumIsSeen() throws {
    var blob = try Sample.scored().blob()
    blob[blob.count / 2] ^= 1
    #expect(throws: TokenizerError.checksum) { try Tokenizer(blob: blob) }
    #expect(CTokenizer(blob).status == SWL_TOKENIZER_ERROR_DATA)
  }

  @Test(
    .enabled(if: SharedData.exists("models/gpt2_vocab.json"), "needs the shared models"),
    arguments: ["gpt2", "llama2", "stories"])
  func sameIdsOnCorpora(_ name: String) throws {
    let tokenizer =
      switch name {
      case "gpt2": try SharedTokenizers.gpt2()
      case "llama2": try SharedTokenizers.llama2()
      default: try SharedTokenizers.stories()
      }
    let blob = tokenizer.blob()
    #expect(try Tokenizer(blob: blob).blob() == blob)
    let device = CTokenizer(blob)
    #expect(device.status == SWL_TOKENIZER_OK)
    for path in SharedTokenizers.corpora {
      let text = try SharedTokenizers.bytes(path)
      let ids = tokenizer.encode(bytes: text)
      #expect(device.encode(text) == .success(ids))
      #expect(Array(tokenizer.decode(ids).utf8) == text)
      #expect(device.decode(ids) == text)
    }
  }
}
