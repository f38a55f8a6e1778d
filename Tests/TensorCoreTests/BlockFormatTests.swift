import Foundation
import Support
import TensorCore
import TestKit
import Testing

@Suite struct BlockFormatTests {
  /// The bytes of hexadecimal digits.
  static func bytes(_ hexadecimal: Substring) -> [UInt8] {
    let digits = Array(hexadecimal.utf8).map { $0 < 58 ? $0 - 48 : $0 - 87 }
    return stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
  }

  /// Lines of format, blocks, expected floats: every format must occur and equal to the last bit.
  static func check(_ text: String) throws {
    var seen: Set<BlockFormat> = []
    for line in text.split(separator: "\n") {
      let fields = line.split(separator: " ")
      let format = try #require(BlockFormat(rawValue: String(fields[0])))
      let raw = bytes(fields[1])
      let expected = bytes(fields[2])
      let count = raw.count / format.bytesPerBlock * format.elementsPerBlock
      #expect(expected.count == count * 4)
      let data = ConstantData(bytes: ByteSource(raw), encoding: .blocks(format))
      let floats = try #require(data.floats(count: count))
      let bits = floats.map(\.bitPattern)
      let wanted = stride(from: 0, to: expected.count, by: 4).map { i in
        (0..<4).reduce(UInt32(0)) { $0 | UInt32(expected[i + $1]) << UInt32($1 * 8) }
      }
      let first = zip(bits, wanted).enumerated().first { $1.0 != $1.1 }?.offset
      #expect(first == nil, "\(format) differs at element \(first ?? 0)")
      seen.insert(format)
    }
    #expect(seen.count == BlockFormat.allCases.count)
  }

  @Test func equalsTheCommittedVectors() throws {
    let url = SharedData.checkout.appendingPathComponent("Tests/Golden/block-formats.txt")
    try Self.check(String(contentsOf: url, encoding: .utf8))
  }

  @Test(.enabled(if: Oracle.has("gguf"))) func equalsTheReferencePackage() throws {
    try Self.check(Oracle.run("gguf_dequantise.py", ["7", "40"]))
  }

  @Test(arguments: BlockFormat.allCases) func findsNonFiniteScales(_ format: BlockFormat) {
    var raw = [UInt8](repeating: 0, count: format.bytesPerBlock * 3)
    #expect(raw.withUnsafeBytes { format.firstNonFiniteBlock($0) } == nil)
    for offset in format.scaleOffsets {
      for half: [UInt8] in [[0x00, 0x7C], [0x00, 0xFC], [0x01, 0x7E]] {
        let at = format.bytesPerBlock * 2 + offset
        raw.replaceSubrange(at..<at + 2, with: half)
        #expect(raw.withUnsafeBytes { format.firstNonFiniteBlock($0) } == 2)
        raw.replaceSubrange(at..<at + 2, with: [0, 0])
      }
    }
  }

  @Test func partsStartOnBlocks() throws {
    let raw = [UInt8](repeating: 1, count: BlockFormat.q4_0.bytesPerBlock * 4)
    let data = ConstantData(bytes: ByteSource(raw), encoding: .blocks(.q4_0))
    let all = try #require(data.floats(count: 128))
    var part = [Float](repeating: 9, count: 64)
    #expect(part.withUnsafeMutableBufferPointer { data.readFloats(32..<96, into: $0) })
    #expect(part == Array(all[32..<96]))
    #expect(!part.withUnsafeMutableBufferPointer { data.readFloats(16..<48, into: $0) })
    #expect(!part.withUnsafeMutableBufferPointer { data.readFloats(96..<160, into: $0) })
  }
}
