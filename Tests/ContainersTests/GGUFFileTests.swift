import Containers
import Support
import TensorCore
import TestKit
import Testing

@Suite struct GGUFFileTests {
  static func sample() -> GGUFWriter {
    var writer = GGUFWriter()
    writer.add("general.architecture", "llama")
    writer.add("n", UInt32(7))
    writer.add("f", Float(0.5))
    writer.add("words", ["a", "bb", ""])
    writer.add("scores", [Float(1), -2])
    writer.add(
      "nested", type: 9,
      GGUFWriter.bytes(UInt32(9)) + GGUFWriter.bytes(UInt64(1)) + GGUFWriter.bytes(UInt32(5))
        + GGUFWriter.bytes(UInt64(2)) + GGUFWriter.bytes(Int32(-3)) + GGUFWriter.bytes(Int32(4)))
    writer.tensors = [
      .init("a", [3, 2], type: 0, bytes: GGUFWriter.floats([1, 2, 3, 4, 5, 6])),
      .init(
        "b", [32], type: 8, bytes: [0, 0x3C] + (0..<32).map { UInt8(truncatingIfNeeded: $0) }),
    ]
    return writer
  }

  static func read(_ bytes: [UInt8]) throws(DiagnosticError) -> GGUFFile {
    try GGUFFile(ByteSource(bytes), name: "test.gguf")
  }

  /// The code of the error that reading throws.
  static func code(_ writer: GGUFWriter) -> String? {
    do throws(DiagnosticError) {
      _ = try read(writer.file)
      return nil
    } catch { return error.diagnostics[0].code }
  }

  @Test(arguments: [UInt32(2), 3]) func readsValuesAndTensors(_ version: UInt32) throws {
    var writer = Self.sample()
    writer.version = version
    let file = try Self.read(writer.file)
    #expect(file.version == Int(version))
    #expect(file.metadata["general.architecture"] == .string("llama"))
    #expect(file.metadata["n"]?.int == 7)
    #expect(file.metadata["f"]?.double == 0.5)
    #expect(file.metadata["words"] == .strings(["a", "bb", ""]))
    #expect(file.metadata["scores"] == .reals([1, -2]))
    #expect(file.metadata["nested"] == .arrays([.integers([-3, 4])]))
    let a = try #require(file.tensor("a"))
    #expect(a.shape == [2, 3])
    #expect(a.data.floats(count: 6) == [1, 2, 3, 4, 5, 6])
    #expect(file.tensor("b")?.data.floats(count: 32) == (0..<32).map(Float.init))
  }

  @Test func refusesUnsoundTensors() {
    func with(_ change: (inout GGUFWriter) -> Void) -> String? {
      var writer = Self.sample()
      change(&writer)
      return Self.code(writer)
    }
    #expect(with { _ in } == nil)
    #expect(with { $0.version = 1 } == "gguf.version")
    #expect(with { $0.version = 0x0300_0000 } == "gguf.version")
    #expect(with { $0.tensors[1].name = "a" } == "gguf.duplicate-tensor")
    #expect(with { $0.tensors[1].offset = 0 } == "gguf.overlap")
    #expect(with { $0.tensors[1].offset = 33 } == "gguf.alignment")
    #expect(with { $0.tensors[1].offset = 1 << 20 } == "gguf.truncated")
    #expect(with { $0.tensors[1].offset = .max - 31 } == "gguf.truncated")
    #expect(with { $0.tensors[0].dimensions = [1 << 60] } == "gguf.truncated")
    #expect(with { $0.tensors[0].dimensions = [1 << 40] } == "gguf.truncated")
    #expect(with { $0.tensors[0].dimensions = [1 << 63, 2] } == "gguf.size")
    #expect(with { $0.tensors[0].dimensions = [1 << 31, 1 << 31, 4] } == "gguf.size")
    #expect(with { $0.tensors[0].dimensions = [0, 3] } == "gguf.size")
    #expect(with { $0.tensors[0].dimensions = [1, 1, 1, 1, 1] } == "gguf.limit")
    #expect(with { $0.tensors[0].type = 99 } == "gguf.tensor-type")
    #expect(with { $0.tensors[0].type = 20 } == "gguf.tensor-type")
    #expect(with { $0.tensors[0].type = 2 } == "gguf.row-blocks")
    #expect(with { $0.add("n", UInt32(1)) } == "gguf.duplicate-key")
    #expect(with { $0.add("general.alignment", UInt32(24)) } == "gguf.alignment")
    #expect(with { $0.add("x", type: 13, []) } == "gguf.value-type")
    #expect(with { $0.add("x", type: 7, [2]) } == "gguf.value")
    #expect(with { $0.add("x", type: 8, GGUFWriter.bytes(UInt64(1)) + [0xFF]) } == "gguf.utf8")
    let array = GGUFWriter.bytes(UInt32(9)) + GGUFWriter.bytes(UInt64(1))
    #expect(with { $0.add("x", type: 9, (0..<9).flatMap { _ in array }) } == "gguf.limit")
    let huge = GGUFWriter.bytes(UInt32(8)) + GGUFWriter.bytes(UInt64(1) << 60)
    #expect(with { $0.add("x", type: 9, huge) } == "gguf.limit")
    let large = GGUFWriter.bytes(UInt32(8)) + GGUFWriter.bytes(UInt64(1) << 24)
    #expect(with { $0.add("x", type: 9, large) } == "gguf.truncated")
    let long = GGUFWriter.bytes(UInt64.max)
    #expect(with { $0.add("x", type: 8, long) } == "gguf.truncated")
  }

  @Test func everyTruncationIsAnError() throws {
    let writer = Self.sample()
    let bytes = writer.file
    // The padding after the last tensor is not part of anything.
    let end = bytes.count - 30
    for length in 0..<end {
      #expect(throws: DiagnosticError.self) { try Self.read(Array(bytes[0..<length])) }
    }
    _ = try Self.read(Array(bytes[0..<end]))
  }

  @Test func errorsSayWhereAndHow() {
    var writer = Self.sample()
    writer.tensors[1].type = 20
    let error = #expect(throws: DiagnosticError.self) { try Self.read(writer.file) }
    let diagnostic = error?.diagnostics.first
    #expect(diagnostic?.location?.file == "test.gguf")
    #expect(diagnostic?.location?.element == "b")
    #expect(diagnostic?.message.contains("IQ4_NL") == true)
    #expect(diagnostic?.wayOut?.contains("Q4_1") == true)
  }
}
