import Foundation
import ProgramFormat
import Support
import TestKit
import Testing

@testable import Driver

/// `swiftlet evaluate` with baselines, and `swiftlet bisect`, as scripts see them.
extension CommandTests {
  /// Writes the tiny model and a text for it.
  private func prepare(_ scratch: Scratch) throws -> (model: String, text: String) {
    try writeModel(in: scratch)
    let words = (0..<60).map { "w\($0 * 37 % 23) and \($0 * 11 % 7)" }.joined(separator: " ")
    try words.write(toFile: scratch.path("text.txt"), atomically: true, encoding: .utf8)
    return (scratch.path("model.bin"), scratch.path("text.txt"))
  }

  private func json(_ path: String) throws -> [String: Any] {
    let data = try Data(contentsOf: URL(fileURLWithPath: path))
    return try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
  }

  @Test func baselinesAreRecordedAndHeld() throws {
    let scratch = try Scratch()
    let (model, text) = try prepare(scratch)
    try FileManager.default.createDirectory(
      atPath: scratch.path("baselines"), withIntermediateDirectories: true)
    let baseline = scratch.path("baselines/b.json")
    #expect(SwiftletTool.run(["evaluate", model, "--baseline", baseline]) == 1)
    #expect(SwiftletTool.run(["evaluate", model, "--record", "--text", text]) == 2)
    let record = [
      "evaluate", model, "--text", text, "--max-tokens", "200", "--target", "alif-b1",
      "--baseline", baseline, "--record",
    ]
    #expect(SwiftletTool.run(record) == 0)
    let first = try String(contentsOfFile: baseline, encoding: .utf8)
    // The text lies in the baseline's project, so the check needs no options at all.
    let check = ["evaluate", model, "--baseline", baseline, "--json"]
    let reports = ["--junit", "j.xml", "--markdown", "m.md", "--sarif", "s.sarif"]
    let named = reports.map { $0.hasPrefix("--") ? $0 : scratch.path($0) }
    #expect(SwiftletTool.run(check + named) == 0)
    #expect(try String(contentsOfFile: baseline, encoding: .utf8) == first)
    #expect(SwiftletTool.run(record) == 0)
    #expect(try String(contentsOfFile: baseline, encoding: .utf8) == first)
    // A contradiction to the settings cannot be judged; another recipe can.
    #expect(SwiftletTool.run(check + ["--max-tokens", "100"]) == 1)
    #expect(SwiftletTool.run(check + ["--stage", "float"]) == 1)
    #expect(SwiftletTool.run(check + ["--quant", "w8a8"]) == 3)
    // A figure that got worse fails and is in every report.
    let tight = first.replacing(
      try Regex("(?s)(\"kld_mean\" : \\{.*?\"value\" : )[0-9.e-]+"),
      with: { $0.output[1].substring.map(String.init).map { $0 + "1e-09" } ?? "" }
    ).replacing("\"absolute\" : 0.0001", with: "\"absolute\" : 0")
    try #require(tight != first)
    try tight.write(toFile: baseline, atomically: true, encoding: .utf8)
    #expect(SwiftletTool.run(check + named) == 3)
    #expect(try String(contentsOfFile: scratch.path("j.xml"), encoding: .utf8).contains("<failure"))
    #expect(
      try String(contentsOfFile: scratch.path("m.md"), encoding: .utf8).contains("kld") == false)
    #expect(try String(contentsOfFile: scratch.path("m.md"), encoding: .utf8).contains("❌"))
    #expect(try json(scratch.path("s.sarif"))["version"] as? String == "2.1.0")
    // Another text is refused.
    try "other words".write(toFile: text, atomically: true, encoding: .utf8)
    #expect(SwiftletTool.run(check) == 1)
  }

  @Test func evaluationsResume() throws {
    let scratch = try Scratch()
    let (model, text) = try prepare(scratch)
    let checkpoint = scratch.path("c.jsonl")
    let run = [
      "evaluate", model, "--text", text, "--stage", "integer", "--json", "--checkpoint", checkpoint,
    ]
    #expect(SwiftletTool.run(run) == 0)
    let whole = try String(contentsOfFile: checkpoint, encoding: .utf8)
    let lines = whole.split(separator: "\n")
    try #require(lines.count > 3)
    #expect(SwiftletTool.run(run) == 1)
    // Stopped in the middle of the third record.
    try (lines.prefix(3).joined(separator: "\n") + "\n" + lines[3].prefix(10)).write(
      toFile: checkpoint, atomically: true, encoding: .utf8)
    #expect(SwiftletTool.run(run + ["--resume"]) == 0)
    let resumed = try String(contentsOfFile: checkpoint, encoding: .utf8)
    #expect(Set(resumed.split(separator: "\n")) == Set(lines))
    #expect(SwiftletTool.run(run + ["--resume", "--quant", "w8a8"]) == 1)
    #expect(SwiftletTool.run(["evaluate", model, "--text", text, "--resume"]) == 2)
  }

  @Test func attributionNeedsAModel() throws {
    let scratch = try Scratch()
    let (model, text) = try prepare(scratch)
    #expect(
      SwiftletTool.run(["evaluate", model, "--text", text, "--attribute", "--json"]) == 0)
    let out = scratch.path("out")
    #expect(SwiftletTool.run(["compile", model, "--target", "alif-b1", "-o", out, "--json"]) == 0)
    #expect(SwiftletTool.run(["evaluate", out, "--text", text, "--attribute"]) == 1)
  }

  /// Numbers changed in a package's tables, with a manifest that agrees, fail the gate, and bisect
  /// finds them.
  @Test func changedPackagesFailTheGate() throws {
    let scratch = try Scratch()
    let (model, text) = try prepare(scratch)
    let (good, bad) = (scratch.path("good"), scratch.path("bad"))
    for out in [good, bad] {
      #expect(
        SwiftletTool.run(["compile", model, "--target", "alif-b1", "-o", out, "--json"]) == 0)
    }
    let baseline = scratch.path("b.json")
    let gate = { (package: String, more: [String]) in
      SwiftletTool.run(
        ["evaluate", package, "--model", model, "--text", text, "--baseline", baseline, "--json"]
          + more)
    }
    #expect(gate(good, ["--record"]) == 0)
    #expect(gate(good, []) == 0)
    #expect(SwiftletTool.run(["bisect", good, bad, "--exit-code", "--json"]) == 0)

    let program = try PackageReader.load(bad)
    let place = program.manifest.position
    let table =
      place.rotationOffset..<place.rotationOffset + place.rotationRowBytes
      * program.manifest.model.context
    let paramsPath = bad + "/" + PackageFile.params
    var bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: paramsPath)))
    // No position turns anything any more: all tokens seem to stand at the same place.
    try #require(!table.isEmpty && table.upperBound <= bytes.count)
    bytes.replaceSubrange(table, with: repeatElement(0, count: table.count))
    try Data(bytes).write(to: URL(fileURLWithPath: paramsPath))
    let manifestPath = bad + "/" + PackageFile.manifest
    var manifest = try json(manifestPath)
    var files = try #require(manifest["files"] as? [[String: Any]])
    for index in files.indices where files[index]["name"] as? String == PackageFile.params {
      files[index]["crc32"] = CRC32.checksum(bytes)
    }
    manifest["files"] = files
    try JSONSerialization.data(withJSONObject: manifest).write(
      to: URL(fileURLWithPath: manifestPath))

    #expect(gate(bad, []) == 3)
    #expect(SwiftletTool.run(["bisect", good, bad, "--json"]) == 0)
    #expect(SwiftletTool.run(["bisect", good, bad, "--exit-code", "--json"]) == 3)
    #expect(SwiftletTool.run(["bisect", good, scratch.path("absent")]) == 1)
    #expect(SwiftletTool.run(["bisect", good]) == 2)
  }
}
