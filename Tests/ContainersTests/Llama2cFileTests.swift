import Containers
import Support
import TensorCore
import TestKit
import Testing

@Suite struct Llama2cFileTests {
  /// dim 4, hidden 6, 2 layers, 2 heads, 1 kv head, vocabulary 5, context 3.
  static let fields: [Int32] = [4, 6, 2, 2, 1, 5, 3]
  /// Elements of the tensors without rotary tables and separate head.
  static let weights = 5 * 4 + 2 * (4 + 16 + 8 + 8 + 16 + 4 + 24 * 3) + 4

  static func legacy(separate: Bool) -> [UInt8] {
    var header = fields
    if separate { header[5] = -5 }
    let count = weights + 2 * 3 * 1 + (separate ? 20 : 0)
    return header.flatMap(GGUFWriter.bytes) + GGUFWriter.floats((0..<count).map(Float.init))
  }

  static func modern(
    version: Int32, shared: UInt8 = 1, group: Int32? = nil, data: [UInt8]
  ) -> [UInt8] {
    var out = GGUFWriter.bytes(UInt32(0x616B_3432)) + GGUFWriter.bytes(version)
    out += fields.flatMap(GGUFWriter.bytes) + [shared]
    if let group { out += GGUFWriter.bytes(group) }
    out += [UInt8](repeating: 0, count: 256 - out.count)
    return out + data
  }

  static func read(_ bytes: [UInt8]) throws(DiagnosticError) -> Llama2cFile {
    try Llama2cFile(ByteSource(bytes), name: "test.bin")
  }

  static func code(_ bytes: [UInt8]) -> String? {
    do throws(DiagnosticError) {
      _ = try read(bytes)
      return nil
    } catch { return error.diagnostics[0].code }
  }

  @Test func legacyOrder() throws {
    let file = try Self.read(Self.legacy(separate: false))
    #expect(file.version == .legacy)
    #expect(file.header.sharedClassifier)
    #expect(file.header.kvDim == 2)
    func first(_ name: String) -> Float? { file.tensors[name]?.data.floats(count: 1)?[0] }
    #expect(first("tok_embeddings") == 0)
    #expect(first("layers.0.attention_norm") == 20)
    #expect(first("layers.1.attention_norm") == 24)
    #expect(first("layers.0.attention.wq") == 28)
    #expect(first("layers.1.attention.wk") == 68)
    #expect(first("norm") == Float(Self.weights - 4))
    #expect(file.tensors["output"] == nil)
    #expect(Llama2cFile.matchesLegacy(ByteSource(Self.legacy(separate: false))))
  }

  @Test func legacySeparateClassifierComesAfterTheRotaryTables() throws {
    let file = try Self.read(Self.legacy(separate: true))
    #expect(!file.header.sharedClassifier)
    #expect(file.tensors["output"]?.data.floats(count: 1) == [Float(Self.weights + 6)])
  }

  @Test(arguments: [UInt8(0), 1]) func versionOne(_ shared: UInt8) throws {
    let count = Self.weights + (shared == 1 ? 0 : 20)
    let data = GGUFWriter.floats((0..<count).map(Float.init))
    let file = try Self.read(Self.modern(version: 1, shared: shared, data: data))
    #expect(file.version == .float32)
    func first(_ name: String) -> Float? { file.tensors[name]?.data.floats(count: 1)?[0] }
    #expect(first("layers.0.attention_norm") == 0)
    #expect(first("layers.1.ffn_norm") == 12)
    #expect(first("norm") == 16)
    #expect(first("tok_embeddings") == 20)
    #expect(first("layers.0.attention.wq") == 40)
    #expect(first("output") == (shared == 1 ? nil : Float(Self.weights)))
  }

  @Test func versionTwo() throws {
    // Norms as floats, then per tensor its integers and one scale per two of them.
    var data = GGUFWriter.floats([Float](repeating: 1, count: 20))
    let sizes = [20] + [16, 8, 8, 16, 24, 24, 24].flatMap { [$0, $0] }
    for size in sizes {
      data += (0..<size).map { UInt8(bitPattern: Int8($0)) }
      data += GGUFWriter.floats((0..<size / 2).map { Float($0 + 1) })
    }
    let file = try Self.read(Self.modern(version: 2, group: 2, data: data))
    #expect(file.header.groupSize == 2)
    let wk = try #require(file.tensors["layers.1.attention.wk"]?.data.floats(count: 8))
    #expect(wk == [0, 1, 4, 6, 12, 15, 24, 28])
    #expect(Self.code(Self.modern(version: 2, group: 3, data: data)) == "llama2c.size")
    #expect(Self.code(Self.modern(version: 2, group: 0, data: data)) == "llama2c.header")
  }

  @Test func refusesUnsoundHeaders() {
    let sound = Self.legacy(separate: false)
    func with(_ field: Int, _ value: Int32) -> String? {
      var bytes = sound
      bytes.replaceSubrange(field * 4..<field * 4 + 4, with: GGUFWriter.bytes(value))
      return Self.code(bytes)
    }
    #expect(with(0, 4) == nil)
    for field in 0..<7 {
      #expect(with(field, 0) == "llama2c.header")
      #expect(with(field, .min) == "llama2c.header")
      #expect(with(field, .max) == "llama2c.header")
    }
    #expect(with(0, 6) == "llama2c.header")
    #expect(with(3, 3) == "llama2c.header")
    #expect(with(5, 6) == "llama2c.truncated")
    #expect(with(5, 4) == "llama2c.size")
    #expect(with(0, 1 << 24) == "llama2c.truncated")
    #expect(Self.code(Self.modern(version: 3, data: [])) == "llama2c.version")
    #expect(Self.code(Self.modern(version: 1, shared: 7, data: [])) == "llama2c.header")
    #expect(!Llama2cFile.matchesLegacy(ByteSource(sound + [0])))
  }

  @Test func everyTruncationIsAnError() {
    for bytes in [
      Self.legacy(separate: true),
      Self.modern(
        version: 1, data: GGUFWriter.floats([Float](repeating: 0, count: Self.weights))),
    ] {
      for length in 0..<bytes.count {
        #expect(throws: DiagnosticError.self) { try Self.read(Array(bytes[0..<length])) }
      }
    }
  }
}
