import DeviceRuntime
import Foundation
import TestKit
import Testing

@testable import Tokenizers

/// The ids of other people's tokenizers, made by `Tests/Oracles/tokenizer_ids.py`.
///
/// They are looked for in `SWIFTLET_TOKENIZER_ORACLE`, or made once into `.venv/tokenizer-ids` by the
/// checkout's Python environment, when that has the packages.
enum TokenizerOracle {
  /// The folder with the reference ids; nil when it can neither be found nor made here.
  static let folder: URL? = {
    if let named = ProcessInfo.processInfo.environment["SWIFTLET_TOKENIZER_ORACLE"] {
      return URL(fileURLWithPath: named)
    }
    let environment = SharedData.checkout.appendingPathComponent(".venv")
    let python = environment.appendingPathComponent("bin/python").path
    guard SharedData.exists("models/gpt2_vocab.json"), SharedData.exists("data"),
      run(python, ["-c", "import tokenizers, sentencepiece, google.protobuf, gguf"])
    else { return nil }
    let folder = environment.appendingPathComponent("tokenizer-ids")
    let script = SharedData.checkout.appendingPathComponent("Tests/Oracles/tokenizer_ids.py")
    let done = folder.appendingPathComponent("done")
    if let made = modified(done), let written = modified(script), made > written { return folder }
    return run(python, [script.path, SharedData.root.path, folder.path]) ? folder : nil
  }()

  /// Whether the reference ids are there, and those of SmolLM2 if asked for.
  static func exists(_ file: String = "done") -> Bool {
    folder.map { FileManager.default.fileExists(atPath: $0.appendingPathComponent(file).path) }
      ?? false
  }

  /// The content of a file of the oracle.
  static func bytes(_ name: String) throws -> [UInt8] {
    let folder = try #require(folder)
    return [UInt8](try Data(contentsOf: folder.appendingPathComponent(name)))
  }

  private static func modified(_ url: URL) -> Date? {
    (try? FileManager.default.attributesOfItem(atPath: url.path))?[.modificationDate] as? Date
  }

  private static func run(_ program: String, _ arguments: [String]) -> Bool {
    guard FileManager.default.isExecutableFile(atPath: program) else { return false }
    let process = Process()
    process.executableURL = URL(fileURLWithPath: program)
    process.arguments = arguments
    process.standardError = FileHandle.nullDevice
    guard (try? process.run()) != nil else { return false }
    process.waitUntilExit()
    return process.terminationStatus == 0
  }
}

/// Equality with the reference tokenizers: on whole texts and on every line of them, for the Swift
/// and the C tokenizer.
@Suite(
  .enabled(if: TokenizerOracle.exists(), "needs .venv with tokenizers, sentencepiece, gguf"))
struct OracleTests {
  /// Compares with the ids that the oracle wrote for `name`.
  private func compare(_ tokenizer: Tokenizer, with name: String, special: Bool = false) throws {
    let device = CTokenizer(tokenizer.blob())
    #expect(device.status == SWL_TOKENIZER_OK)
    for corpus in ["wikitext2_valid", "tinystories_val", "tinyshakespeare", "random"] {
      let text =
        corpus == "random"
        ? try TokenizerOracle.bytes("random.txt") : try SharedTokenizers.bytes("data/\(corpus).txt")
      let lines = text.split(separator: 0x0A, omittingEmptySubsequences: false).map { Array($0) }
      let expected = try TokenizerOracle.bytes("\(name)--\(corpus).ids")
        .split(separator: 0x0A, omittingEmptySubsequences: false).dropLast()
        .map { $0.split(separator: 0x20).map { $0.reduce(Int32(0)) { $0 * 10 + Int32($1) - 48 } } }
      try #require(expected.count == lines.count + 1)
      var wrong = 0
      for (index, (line, ids)) in zip([text] + lines, expected).enumerated() {
        let found = tokenizer.encode(bytes: line, addBOS: false, parseSpecial: special)
        let onDevice = device.encode(line, addBOS: false, parseSpecial: special)
        if found != ids || onDevice != .success(ids) {
          wrong += 1
          if wrong <= 3 && index > 0 {
            let words = { (ids: [Int32]) in
              ids.map { String(decoding: tokenizer.bytes(of: $0), as: UTF8.self) }
            }
            Issue.record(
              "\(name) \(corpus):\(index): \(String(decoding: line, as: UTF8.self).debugDescription) is \(words(found)), expected \(words(ids))"
            )
          }
        }
      }
      #expect(wrong == 0, "\(name): \(wrong) of \(lines.count) lines of \(corpus) differ")
    }
  }

  @Test(arguments: ["gpt2-gpt2", "gpt2-smollm", "gpt2-llama3", "gpt2-qwen2", "llama2-characters"])
  func huggingFace(_ name: String) throws {
    let tokenizer = try Tokenizer(huggingFaceJSON: try TokenizerOracle.bytes("\(name).json"))
    try compare(tokenizer, with: name)
  }

  @Test func gpt2FromItsOwnFiles() throws {
    try compare(try SharedTokenizers.gpt2(), with: "gpt2-gpt2")
  }

  @Test func sentencePiece32k() throws {
    try compare(try SharedTokenizers.llama2(), with: "llama2")
  }

  /// The same vocabulary from llama2.c's file and from the GGUF file.
  @Test func sentencePieceOfStories() throws {
    try compare(try SharedTokenizers.stories(), with: "stories")
    try compare(try gguf("stories"), with: "stories")
  }

  /// The tokenizer of a GGUF file from its entries as JSON.
  private func gguf(_ name: String) throws -> Tokenizer {
    let json = try JSONValue(parsing: try TokenizerOracle.bytes("\(name).gguf.json"))
    func id(_ key: String) -> UInt32? { json[key]?.integer.map { UInt32($0) } }
    func list<Element>(_ key: String, _ element: (JSONValue) -> Element?) -> [Element]? {
      json[key]?.array?.compactMap(element)
    }
    return try Tokenizer(
      gguf: GGUFTokenizer(
        model: json["model"]?.string ?? "", pre: json["pre"]?.string,
        tokens: list("tokens", \.string) ?? [],
        scores: list("scores") { if case .number(let value) = $0 { Float(value) } else { nil } },
        tokenTypes: list("token_type") { $0.integer.map { Int32($0) } },
        merges: list("merges", \.string), bos: id("bos_token_id"), eos: id("eos_token_id"),
        unknown: id("unknown_token_id"), padding: id("padding_token_id"),
        addsBOS: json["add_bos_token"]?.bool, addsSpacePrefix: json["add_space_prefix"]?.bool))
  }

  @Test(.enabled(if: TokenizerOracle.exists("smollm2.json"), "needs SmolLM2's GGUF in the cache"))
  func smolLM2() throws {
    let fromJSON = try Tokenizer(huggingFaceJSON: try TokenizerOracle.bytes("smollm2.json"))
    try compare(fromJSON, with: "smollm2", special: true)

    let tokenizer = try gguf("smollm2")
    #expect(tokenizer.preTokenizer == .smollm)
    try compare(tokenizer, with: "smollm2", special: true)
    #expect(tokenizer.encode("<|im_start|>user\nHi<|im_end|>\n").first == 1)

    let reference = try JSONValue(
      parsing: try SharedTokenizers.bytes("models/smollm2-135m-reference.json"))
    guard case .object(let members) = reference else {
      Issue.record("not an object")
      return
    }
    var checked = 0
    for (key, value) in members {
      guard let ids = value["prompt_ids"]?.array, let text = value["text"]?.string,
        let output = value["out_ids"]?.array
      else { continue }
      checked += 1
      #expect(
        tokenizer.encode(value["prompt"]?.string ?? key)
          == ids.compactMap { $0.integer.map { Int32($0) } })
      #expect(
        tokenizer.decode(output.compactMap { $0.integer.map { Int32($0) } }, atStart: false)
          == text)
    }
    #expect(checked == 4)
  }
}
