import Containers
import Foundation
import Support
import TestKit
import Testing

/// Damaged files give a value or an error, never a trap or a runaway allocation.
@Suite(.serialized) struct FuzzTests {
  /// Random damage: bytes overwritten with random or telling values, cut, or repeated.
  static func damage(_ bytes: [UInt8], _ rng: inout SplitMix64) -> [UInt8] {
    var bytes = bytes
    let telling: [UInt8] = [0, 1, 2, 0x7F, 0x80, 0xFE, 0xFF, 0x20, 0x22, 0x5B, 0x7B]
    for _ in 0..<Int.random(in: 1...8, using: &rng) where !bytes.isEmpty {
      let at = Int.random(in: 0..<bytes.count, using: &rng)
      switch Int.random(in: 0..<6, using: &rng) {
      case 0...1: bytes[at] = UInt8.random(in: 0...255, using: &rng)
      case 2: bytes[at] = telling.randomElement(using: &rng) ?? 0
      case 3:
        // A 64-bit claim: huge, or the bit pattern of a power of two.
        let claim = UInt64(1) << UInt64.random(in: 0..<64, using: &rng)
        for (i, byte) in GGUFWriter.bytes(claim).enumerated() where at + i < bytes.count {
          bytes[at + i] = byte
        }
      case 4: bytes.removeSubrange(at..<min(bytes.count, at + Int.random(in: 1...9, using: &rng)))
      default:
        bytes.insert(
          contentsOf: bytes[at..<min(bytes.count, at + Int.random(in: 1...9, using: &rng))], at: at)
      }
    }
    return bytes
  }

  /// Kilobytes of memory the process holds now.
  static func residentKilobytes() -> Int {
    let text = (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8)) ?? ""
    let fields = text.split(separator: " ").compactMap { Int($0) }
    return fields.count > 1 ? fields[1] * 4 : 0
  }

  func fuzz(_ seed: UInt64, _ samples: [[UInt8]], _ body: ([UInt8]) throws(DiagnosticError) -> Int)
  {
    var rng = SplitMix64(seed: seed)
    let before = Self.residentKilobytes()
    var sound = 0
    var refused = 0
    for round in 0..<6000 {
      let bytes = Self.damage(samples[round % samples.count], &rng)
      do throws(DiagnosticError) {
        sound += try body(bytes) >= 0 ? 1 : 0
      } catch {
        refused += 1
        if error.diagnostics.isEmpty || error.diagnostics[0].code.isEmpty {
          Issue.record("an error without code")
        }
      }
    }
    #expect(refused > 1000, "the damage should show")
    #expect(sound + refused == 6000)
    // Files are under 4 KB; a reader that believed one of their claims would show here.
    #expect(Self.residentKilobytes() - before < 200_000)
  }

  @Test func gguf() {
    fuzz(1, [GGUFFileTests.sample().header, GGUFFileTests.sample().file]) {
      bytes throws(DiagnosticError) in
      let file = try GGUFFile(ByteSource(bytes), name: "fuzz")
      return file.tensors.reduce(0) { $0 + ($1.data.floats(count: $1.shape.count)?.count ?? 0) }
    }
  }

  @Test func llama2c() {
    let one = Llama2cFileTests.modern(
      version: 1, data: GGUFWriter.floats([Float](repeating: 0, count: Llama2cFileTests.weights)))
    let samples = [
      Array(Llama2cFileTests.legacy(separate: true).prefix(40)),
      Llama2cFileTests.legacy(separate: false), Array(one.prefix(64)), one,
    ]
    fuzz(2, samples) { bytes throws(DiagnosticError) in
      let source = ByteSource(bytes)
      _ = Llama2cFile.matchesLegacy(source)
      return try Llama2cFile(source, name: "fuzz").tensors.count
    }
  }

  @Test func safetensors() {
    fuzz(3, [SafetensorsFileTests.sample()]) { bytes throws(DiagnosticError) in
      try SafetensorsFile(ByteSource(bytes), name: "fuzz").tensors.count
    }
  }
}
