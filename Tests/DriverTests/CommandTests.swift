import Foundation
import ProgramFormat
import TestKit
import Testing

@testable import Driver

/// A tiny llama2.c checkpoint with pseudo-random weights and its tokenizer.
func writeModel(in scratch: Scratch, poison: Float? = nil) throws {
  let dim = 16
  let hidden = 24
  let layers = 2
  let heads = 2
  let vocabulary = 300
  let context = 32
  var data = Data()
  func put(_ value: Int32) {
    withUnsafeBytes(of: value.littleEndian) { data.append(contentsOf: $0) }
  }
  for value in [dim, hidden, layers, heads, heads, vocabulary, context] { put(Int32(value)) }
  var state: UInt32 = 1
  func floats(_ count: Int, _ scale: Float, ones: Bool = false) {
    for _ in 0..<count {
      state = state &* 1_664_525 &+ 1_013_904_223
      let value = ones ? 1 : (Float(state >> 8) / Float(1 << 24) - 0.5) * scale
      withUnsafeBytes(of: value) { data.append(contentsOf: $0) }
    }
  }
  floats(vocabulary * dim, 1)
  floats(layers * dim, 1, ones: true)
  for _ in 0..<4 { floats(layers * dim * dim, 0.5) }
  floats(layers * dim, 1, ones: true)
  for _ in 0..<3 { floats(layers * dim * hidden, 0.5) }
  floats(dim, 1, ones: true)
  floats(context * dim / heads, 1)
  if let poison {
    withUnsafeBytes(of: poison) { data.replaceSubrange(28 + 400..<28 + 404, with: $0) }
  }
  try data.write(to: URL(fileURLWithPath: scratch.path("model.bin")))
  var tokens = Data()
  func token(_ score: Float, _ piece: [UInt8]) {
    withUnsafeBytes(of: score) { tokens.append(contentsOf: $0) }
    withUnsafeBytes(of: Int32(piece.count)) { tokens.append(contentsOf: $0) }
    tokens.append(contentsOf: piece)
  }
  withUnsafeBytes(of: Int32(8)) { tokens.append(contentsOf: $0) }
  token(0, Array("<unk>".utf8))
  token(0, Array("\n<s>\n".utf8))
  token(0, Array("\n</s>\n".utf8))
  for byte in 0..<256 { token(0, Array(String(format: "<0x%02X>", byte).utf8)) }
  for i in 0..<41 {
    token(Float(-i), i == 0 ? [32] : [UInt8(0x60 + (i % 26) + 1), UInt8(0x61 + i / 26)])
  }
  try tokens.write(to: URL(fileURLWithPath: scratch.path("tokenizer.bin")))
}

@Suite(.serialized)
struct CommandTests {
  init() { setenv("SWIFTLET_HOME", SharedData.checkout.path, 1) }

  @Test func exitCodesAreThoseOfTheContract() throws {
    let scratch = try Scratch()
    #expect(SwiftletTool.run(["--help"]) == 0)
    #expect(SwiftletTool.run(["targets"]) == 0)
    #expect(SwiftletTool.run(["targets", "no-such-part"]) == 1)
    #expect(SwiftletTool.run(["inspect", scratch.path("absent")]) == 1)
    #expect(SwiftletTool.run(["inspect"]) == 2)
    #expect(SwiftletTool.run(["frobnicate"]) == 2)
    #expect(
      SwiftletTool.run([
        "compile", "x", "--target", "alif-b1", "--quant", "w2a2", "-o", scratch.path("o"),
      ]) == 2)
    // What caches and tables hold is open without a bound.
    for (option, goal) in [("kv", []), ("kv", ["--flash", "1MB"]), ("embeddings", [])] {
      #expect(
        SwiftletTool.run(
          ["compile", "x", "--target", "alif-b1", "--quant", "w8a16:\(option)=auto"] + goal
            + ["-o", scratch.path("o")]) == 2)
    }
  }

  /// Graphs in textual form: what the passes make of them, and what is left.
  @Test func graphsAreInspected() throws {
    let folder = SharedData.checkout.appendingPathComponent("Tests/Cases/Passes").path
    let inspect = { (file: String, more: [String]) in
      SwiftletTool.run(["inspect", folder + "/" + file] + more)
    }
    #expect(inspect("attention.gir", ["--strict-layout"]) == 0)
    #expect(inspect("chains.gir", ["--json"]) == 0)
    #expect(inspect("chains.gir", ["--strict-layout"]) == 1)
    #expect(inspect("absent.gir", []) == 1)
    let verifier = SharedData.checkout.appendingPathComponent("Tests/Cases/Verifier").path
    #expect(SwiftletTool.run(["inspect", verifier + "/cache-shape.gir"]) == 1)
  }

  @Test func compiledPackageGenerates() throws {
    let scratch = try Scratch()
    try writeModel(in: scratch)
    let out = scratch.path("out")
    let compile = [
      "compile", scratch.path("model.bin"), "--target", "alif-b1", "-o", out, "--json",
      "--strict-layout",
    ]
    #expect(SwiftletTool.run(compile) == 0)
    #expect(
      SwiftletTool.run(["generate", out, "--prompt", "abc", "--max-tokens", "5", "--json"]) == 0)
    #expect(SwiftletTool.run(["simulate", out, "--json"]) == 0)
    #expect(SwiftletTool.run(["simulate", out, "--prefill"]) == 0)
    let single = scratch.path("single")
    #expect(
      SwiftletTool.run([
        "compile", scratch.path("model.bin"), "--target", "alif-b1", "-o", single, "--prefill", "0",
      ]) == 0)
    #expect(SwiftletTool.run(["simulate", single, "--prefill"]) == 1)
    #expect(SwiftletTool.run(["inspect", out]) == 0)
    #expect(SwiftletTool.run(["inspect", out, "--json"]) == 0)
    let rows = PackageSummary(manifest: try PackageReader.load(out).manifest).rows()
    #expect(rows.contains { $0 == ("a token", "1 NPU job, 0 CPU kernels") })
    #expect(SwiftletTool.run(["disassemble", out]) == 0)
    // A second build of the same input is the same, byte for byte, and replaces the first.
    let files = [
      "weights.bin", "near.bin", "params.bin", "commands.bin", "steps.bin", "manifest.json",
    ]
    let first = files.map { FileManager.default.contents(atPath: out + "/" + $0) }
    #expect(SwiftletTool.run(compile) == 0)
    #expect(files.map { FileManager.default.contents(atPath: out + "/" + $0) } == first)
    #expect(scratch.content == ["model.bin", "out", "single", "tokenizer.bin"])
  }

  /// Texts that every conversation starts with, and texts that outgrow the context of 32.
  @Test func prefixesAndLongTexts() throws {
    let scratch = try Scratch()
    try writeModel(in: scratch)
    let out = scratch.path("out")
    func compile(prefix: String) throws -> Int32 {
      try prefix.write(toFile: scratch.path("prefix.txt"), atomically: true, encoding: .utf8)
      return SwiftletTool.run([
        "compile", scratch.path("model.bin"), "--target", "alif-b1", "-o", out, "--json",
        "--prefix", scratch.path("prefix.txt"),
      ])
    }
    func generate(_ prompt: String, _ more: String...) -> Int32 {
      SwiftletTool.run(
        ["generate", out, "--prompt", prompt, "--max-tokens", "60", "--json"] + more)
    }
    #expect(try compile(prefix: String(repeating: "abcde", count: 40)) == 1)
    #expect(try compile(prefix: "abcabc") == 0)
    let manifest = try PackageReader.load(out).manifest
    #expect((1...10).contains(manifest.position.prefixTokens))
    #expect(manifest.report.cpuOps == 0)
    #expect(generate("ab") == 0)
    #expect(generate("ab", "--rolling") == 0)
    #expect(generate("") == 1)
    #expect(generate(String(repeating: "abcde", count: 40)) == 1)
    try "abc abc abc abc".write(
      toFile: scratch.path("text.txt"), atomically: true, encoding: .utf8)
    #expect(
      SwiftletTool.run([
        "evaluate", out, "--model", scratch.path("model.bin"), "--text", scratch.path("text.txt"),
      ]) == 1)
  }

  @Test func failedCompilesLeaveNothing() throws {
    let scratch = try Scratch()
    try writeModel(in: scratch, poison: .nan)
    let before = scratch.content
    let run = { (target: String) in
      SwiftletTool.run([
        "compile", scratch.path("model.bin"), "--target", target, "-o", scratch.path("out"),
      ])
    }
    #expect(run("alif-b1") == 1)
    #expect(run("no-such-part") == 1)
    #expect(run("alif-e8") == 1)
    #expect(scratch.content == before)
  }

  @Test func partsWithoutACodeGeneratorAreRefused() throws {
    let scratch = try Scratch()
    try writeModel(in: scratch)
    let source = try String(
      contentsOf: SharedData.checkout.appendingPathComponent("Targets/alif-e8.yaml"),
      encoding: .utf8)
    let target = scratch.path("part.yaml")
    let compile = [
      "compile", scratch.path("model.bin"), "--tokenizer", scratch.path("tokenizer.bin"),
      "--target", target, "-o", scratch.path("out"),
    ]
    for (variant, code) in [("ethos-u65-256", 1), ("ethos-u85-128", 0)] {
      try source.replacing("ethos-u85-256", with: variant)
        .write(toFile: target, atomically: true, encoding: .utf8)
      #expect(SwiftletTool.run(compile) == code, "\(variant)")
    }
  }

  @Test func targetsThatAreTooSmallSayByHowMuch() throws {
    let scratch = try Scratch()
    try writeModel(in: scratch)
    let source = try String(
      contentsOf: SharedData.checkout.appendingPathComponent("Targets/alif-b1.yaml"),
      encoding: .utf8)
    let small = source.replacing("value: 1.25MiB", with: "value: 1KiB")
    try #require(small != source)
    try small.write(toFile: scratch.path("small.yaml"), atomically: true, encoding: .utf8)
    let code = SwiftletTool.run([
      "compile", scratch.path("model.bin"), "--target", scratch.path("small.yaml"), "-o",
      scratch.path("out"),
    ])
    #expect(code == 1)
    #expect(scratch.content == ["model.bin", "small.yaml", "tokenizer.bin"])
  }

  @Test func aFolderThatIsNoPackageIsNotReplaced() throws {
    let scratch = try Scratch()
    try writeModel(in: scratch)
    let out = scratch.url.appendingPathComponent("precious")
    try FileManager.default.createDirectory(at: out, withIntermediateDirectories: true)
    try Data("keep".utf8).write(to: out.appendingPathComponent("thesis.txt"))
    let code = SwiftletTool.run([
      "compile", scratch.path("model.bin"), "--target", "alif-b1", "-o", out.path,
    ])
    #expect(code == 1)
    #expect(FileManager.default.fileExists(atPath: out.appendingPathComponent("thesis.txt").path))
  }

  /// Damaged packages are refused or run; they never trap.
  @Test func damagedPackagesNeverTrap() throws {
    let scratch = try Scratch()
    try writeModel(in: scratch)
    let out = scratch.path("out")
    #expect(
      SwiftletTool.run(["compile", scratch.path("model.bin"), "--target", "alif-b1", "-o", out])
        == 0)
    var seed: UInt64 = 3
    func random(_ bound: Int) -> Int {
      seed = seed &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int(seed >> 33) % max(bound, 1)
    }
    for name in ["manifest.json", "steps.bin", "commands.bin", "weights.bin", "tokenizer.bin"] {
      let path = out + "/" + name
      let sound = try #require(FileManager.default.contents(atPath: path))
      for round in 0..<12 {
        var bytes = [UInt8](sound)
        for _ in 0...random(3) { bytes[random(bytes.count)] ^= UInt8(1 << random(8)) }
        if round % 4 == 3 { bytes.removeLast(random(bytes.count)) }
        try Data(bytes).write(to: URL(fileURLWithPath: path))
        let code = SwiftletTool.run([
          "generate", out, "--prompt", "ab", "--max-tokens", "2", "--json",
        ])
        #expect(code == 0 || code == 1, "\(name), round \(round)")
      }
      try sound.write(to: URL(fileURLWithPath: path))
    }
  }
}
