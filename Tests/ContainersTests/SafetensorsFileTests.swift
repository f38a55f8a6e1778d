import Containers
import Foundation
import Support
import TensorCore
import TestKit
import Testing

@Suite struct SafetensorsFileTests {
  static func sample() -> [UInt8] {
    var writer = SafetensorsWriter()
    writer.add("a", "F32", [2, 2], GGUFWriter.floats([1, 2, 3, 4]))
    writer.add("b", "BF16", [2], [0x80, 0x3F, 0x00, 0xC0])
    return writer.file
  }

  static func read(_ bytes: [UInt8]) throws(DiagnosticError) -> SafetensorsFile {
    try SafetensorsFile(ByteSource(bytes), name: "test.safetensors")
  }

  static func code(_ header: String, data: Int = 64) -> String? {
    let bytes = SafetensorsWriter.file(header: header, [UInt8](repeating: 0, count: data))
    do throws(DiagnosticError) {
      _ = try read(bytes)
      return nil
    } catch { return error.diagnostics[0].code }
  }

  @Test func readsTensors() throws {
    let file = try Self.read(Self.sample())
    #expect(file.tensors.map(\.name) == ["a", "b"])
    #expect(file.tensors[0].data.floats(count: 4) == [1, 2, 3, 4])
    #expect(file.tensors[1].data.floats(count: 2) == [1, -2])
  }

  @Test func refusesUnsoundHeaders() {
    func entry(_ type: String, _ shape: String, _ offsets: String, name: String = "a") -> String {
      "\"\(name)\": {\"dtype\": \"\(type)\", \"shape\": \(shape), \"data_offsets\": \(offsets)}"
    }
    #expect(Self.code("{\(entry("F32", "[4]", "[0, 16]"))}") == nil)
    #expect(Self.code("[]") == "safetensors.header")
    #expect(Self.code("{") == "json.syntax")
    #expect(Self.code("{\"a\": 1}") == "safetensors.header")
    #expect(Self.code("{\(entry("F64", "[2]", "[0, 16]"))}") == "safetensors.tensor-type")
    #expect(Self.code("{\(entry("F32", "[5]", "[0, 16]"))}") == "safetensors.size")
    #expect(Self.code("{\(entry("F32", "[-4]", "[0, -16]"))}") == "safetensors.size")
    #expect(Self.code("{\(entry("F32", "[4]", "[-16, 0]"))}") == "safetensors.size")
    #expect(
      Self.code("{\(entry("F32", "[1152921504606846976]", "[0, 4611686018427387904]"))}")
        == "safetensors.truncated")
    #expect(
      Self.code("{\(entry("F32", "[4294967296, 4294967296]", "[0, 16]"))}") == "safetensors.size")
    #expect(Self.code("{\(entry("F32", "[4]", "[56, 72]"))}") == "safetensors.truncated")
    let a = entry("F32", "[4]", "[0, 16]")
    #expect(
      Self.code("{\(a), \(entry("F32", "[4]", "[8, 24]", name: "b"))}") == "safetensors.overlap")
    #expect(Self.code("{\(a), \(a)}") == "json.duplicate")
    var bytes = Self.sample()
    bytes.replaceSubrange(0..<8, with: GGUFWriter.bytes(UInt64.max))
    #expect(throws: DiagnosticError.self) { try Self.read(bytes) }
  }

  @Test func everyTruncationIsAnError() {
    let bytes = Self.sample()
    for length in 0..<bytes.count {
      #expect(throws: DiagnosticError.self) { try Self.read(Array(bytes[0..<length])) }
    }
  }

  @Test func shards() throws {
    let folder = FileManager.default.temporaryDirectory
      .appendingPathComponent("swiftlet-shards-\(UInt64.random(in: 0 ... .max))")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    try Data(Self.sample()).write(to: folder.appendingPathComponent("s1.safetensors"))
    let index = folder.appendingPathComponent("model.safetensors.index.json")
    func load(_ map: String) throws -> SafetensorsSet {
      try Data("{\"weight_map\": \(map)}".utf8).write(to: index)
      return try SafetensorsSet(index: index.path)
    }
    let set = try load("{\"b\": \"s1.safetensors\"}")
    #expect(set.count == 1)
    #expect(set.tensor("b")?.shape == [2])
    for map in [
      "{\"z\": \"s1.safetensors\"}", "{\"b\": \"../s1.safetensors\"}", "{\"b\": \"..\"}",
      "{\"b\": \"\"}", "{\"b\": 1}", "[]", "{\"b\": \"none\"}",
      "{\"b\": \"model.safetensors.index.json\"}",
    ] {
      #expect(throws: DiagnosticError.self) { try load(map) }
    }
  }
}
