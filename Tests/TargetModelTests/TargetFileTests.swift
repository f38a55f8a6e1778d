import Foundation
import Support
import TestKit
import Testing

@testable import TargetModel

/// Sound text that the cases below spoil in one place each.
private let sound = """
  name: board
  summary: "a board"
  cpu:
    core: cortex-m55
    clock: {value: 400MHz, source: "data sheet"}
  npu:
    variant: ethos-u55-128
    clock: {value: 400MHz, source: "data sheet"}
  memories:
    ram:
      kind: sram
      base: {value: 0x20000000, source: "data sheet"}
      size: {value: 1MiB, source: "data sheet"}
      read: {value: 2GB/s, source: "data sheet"}
      write: {value: 2GB/s, source: "data sheet"}
      read_latency: {value: 10, source: "data sheet"}
      write_latency: {value: 10, source: "data sheet"}
      burst: {value: 64B, source: "data sheet"}
      port: axi0
    rom:
      kind: flash
      base: {value: 0x80000000, source: "data sheet"}
      size: {value: 4MiB, source: "data sheet"}
      read: {value: 0.1GB/s, source: "data sheet"}
      write: {value: 0B/s, source: "data sheet"}
      read_latency: {value: 60, source: "data sheet"}
      write_latency: {value: 0, source: "data sheet"}
      burst: {value: 128B, source: "data sheet"}
      port: axi1
  placement:
    weights: [rom]
    params: [rom]
    arena: [ram]
    state: [ram]
  """

private func problems(_ text: String) -> [Diagnostic] {
  do throws(DiagnosticError) {
    _ = try TargetFile.load(text, file: "board.yaml")
    return []
  } catch {
    return error.diagnostics
  }
}

/// Files of earlier versions, which say where weight slices on their way lie.
@Test func olderTargetLoads() throws {
  let text = sound.replacing("  state: [ram]", with: "  state: [ram]\n  staging: [ram]")
  #expect(text != sound)
  #expect(
    try TargetFile.load(text, file: "board.yaml") == TargetFile.load(sound, file: "board.yaml"))
}

@Test func soundTargetLoads() throws {
  let target = try TargetFile.load(sound, file: "board.yaml")
  #expect(target.name == "board")
  #expect(target.npu.clock == Hertz(400e6))
  #expect(target.memory("ram")?.size == Bytes(1 << 20))
  #expect(target.memory("rom")?.base == 0x8000_0000)
  #expect(target.memory("rom")?.readBandwidth.bytesPerSecond == 1e8)
  #expect(target.candidates(for: .weights).map(\.name) == ["rom"])
}

/// One mistake each: what is replaced, by what, and the code and line of the message.
@Test(
  arguments: [
    ("summary: \"a board\"", "sumary: \"a board\"", "target.unknown-key", 2),
    ("    size: {value: 1MiB, source: \"data sheet\"}\n", "", "target.missing-key", 11),
    ("value: 1MiB", "value: 1MB", "target.value", 13),
    ("value: 1MiB", "value: 8GiB, bits: 3", "target.unknown-key", 13),
    ("{value: 1MiB, source: \"data sheet\"}", "1MiB", "target.kind", 13),
    ("0x80000000", "0x20080000", "target.overlap", 20),
    ("0x80000000", "0x10000000000", "target.impossible", 22),
    (
      "clock: {value: 400MHz, source: \"data sheet\"}\nnpu",
      "clock: {value: 0Hz, source: \"x\"}\nnpu", "target.impossible", 5
    ),
    ("arena: [ram]", "arena: [rom]", "target.impossible", 33),
    ("arena: [ram]", "arena: [dram]", "target.unknown-memory", 33),
    ("arena: [ram]", "arena: []", "target.kind", 33),
    ("arena: [ram]", "arena: [ram, ram]", "target.duplicate-key", 33),
    ("port: axi1", "port: axi2", "target.value", 29),
    ("kind: flash", "kind: disk", "target.value", 21),
    ("value: 0B/s", "value: 1GB/s", "target.impossible", 25),
    ("value: 128B", "value: 100B", "target.impossible", 28),
    ("name: board", "name: \"../board\"", "target.name", 1),
    ("cpu:\n", "cpu: &a\n", "target.alias", 3),
  ])
func mistakesAreLocated(
  _ original: String, _ replacement: String, _ code: String, _ line: Int
) throws {
  let text = sound.replacing(original, with: replacement, maxReplacements: 1)
  try #require(text != sound)
  let found = problems(text)
  let match = try #require(found.first { $0.code == code }, "\(found)")
  #expect(match.location?.line == line, "\(match)")
  #expect((match.location?.column ?? 0) > 0)
  #expect(match.location?.file == "board.yaml")
}

@Test func allMistakesAreReportedTogether() {
  let text = sound.replacing("kind: flash", with: "kind: disk").replacing("axi0", with: "axi9")
  #expect(problems(text).count >= 2)
}

@Test func duplicateKeysAndBrokenYAMLAreErrors() {
  #expect(!problems(sound + "\nname: again\n").isEmpty)
  #expect(!problems("name: [").isEmpty)
  #expect(!problems("").isEmpty)
  #expect(!problems("just text").isEmpty)
  #expect(!problems(String(repeating: "[", count: 5000)).isEmpty)
}

/// A file of half a kilobyte that would expand to billions of nodes is refused before it is parsed,
/// also behind an apostrophe, a `#` inside quotes, or as a key.
@Test(arguments: ["*z: 1", "[don't, *z]", "{k: \"x # y\", l: *z}", "? *z\n: 1"])
func expandingFilesAreRefusedUnparsed(_ use: String) {
  var bomb = "a: &a [x, x, x, x, x, x, x, x]\n"
  for (name, before) in zip("bcdefghijklm", "abcdefghijkl") {
    let references = Array(repeating: "*\(before)", count: 8).joined(separator: ", ")
    bomb += "\(name): &\(name) [\(references)]\n"
  }
  let found = problems(bomb.replacing("&m", with: "&z") + use + "\n")
  #expect(found.map(\.code) == ["target.alias"])
  #expect(found.first?.location?.line == 1 && found.first?.location?.column == 4)
  #expect(problems(use).contains { $0.code == "target.alias" })
}

@Test func anAmpersandInsideAWordIsText() {
  #expect(problems(sound.replacing("a board", with: "R&D board, 2*3 & more")).isEmpty)
}

/// Random damage never traps, and what loads is a target that could exist.
@Test func damagedFilesNeverTrap() {
  var random = SplitMix64(seed: 7)
  let bytes = Array(sound.utf8)
  for _ in 0..<400 {
    var damaged = bytes
    for _ in 0..<Int.random(in: 1...4, using: &random) {
      let at = Int.random(in: 0..<damaged.count, using: &random)
      switch random.next() % 3 {
      case 0: damaged[at] = UInt8(32 + random.next() % 95)
      case 1: damaged.remove(at: at)
      default: damaged.removeSubrange(at..<min(damaged.count, at + 20))
      }
    }
    if let target = try? TargetFile.load(String(decoding: damaged, as: UTF8.self), file: "x") {
      #expect(target.npu.clock.value > 0)
    }
  }
}

@Test func shippedTargetsLoad() throws {
  let folder = SharedData.checkout.appendingPathComponent("Targets")
  let files = try FileManager.default.contentsOfDirectory(
    at: folder, includingPropertiesForKeys: nil
  ).filter { $0.pathExtension == "yaml" }
  #expect(files.count >= 14)
  for file in files {
    let target = try TargetFile.load(
      String(contentsOf: file, encoding: .utf8), file: file.lastPathComponent)
    #expect(target.name == file.deletingPathExtension().lastPathComponent)
    for kind in Target.DataKind.allCases { #expect(!target.candidates(for: kind).isEmpty) }
  }
}

@Test func quantitiesReadUnits() {
  #expect(Quantity.bytes("2.5MiB") == Bytes(2_621_440))
  #expect(Quantity.bytes("0.3B") == nil)
  #expect(Quantity.bytes("-1KiB") == nil)
  #expect(Quantity.bytes("99999999999GiB") == nil)
  #expect(Quantity.hertz("160MHz") == Hertz(160e6))
  #expect(Quantity.hertz("160") == nil)
  #expect(Quantity.bandwidth("0.387GB/s") == Bandwidth(bytesPerSecond: 0.387e9))
  #expect(Quantity.integer("0x8000_8000") == 0x8000_8000)
  #expect(Quantity.integer("1e3") == nil)
}
