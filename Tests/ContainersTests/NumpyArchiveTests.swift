import Support
import TensorCore
import Testing

@testable import Containers

/// Archives of arrays: read back, and damaged.
@Suite(.serialized) struct NumpyArchiveTests {
  /// A zip archive of stored (not compressed) `.npy` files.
  static func archive(_ arrays: [(name: String, file: [UInt8])]) -> [UInt8] {
    func little(_ value: Int, _ count: Int) -> [UInt8] {
      (0..<count).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
    }
    var bytes: [UInt8] = []
    var directory: [UInt8] = []
    for (name, file) in arrays {
      let path = Array((name + ".npy").utf8)
      let common =
        little(20, 2) + little(0, 8) + little(Int(CRC32.checksum(file)), 4) + little(file.count, 4)
        + little(file.count, 4) + little(path.count, 2) + little(0, 2)
      directory += Array("PK".utf8) + [1, 2] + little(20, 2) + common + little(0, 10)
      directory += little(bytes.count, 4) + path
      bytes += Array("PK".utf8) + [3, 4] + common + path + file
    }
    let end =
      Array("PK".utf8) + [5, 6] + little(0, 4) + little(arrays.count, 2) + little(arrays.count, 2)
      + little(directory.count, 4) + little(bytes.count, 4) + little(0, 2)
    return bytes + directory + end
  }

  static func sample() throws -> [UInt8] {
    archive([
      ("words", try #require(NumpyArray.file(.int32, [2, 2], [UInt8](1...16)))),
      ("bytes", try #require(NumpyArray.file(.int8, [5], [1, 2, 3, 4, 5]))),
    ])
  }

  @Test func readsStoredArrays() throws {
    let source = ByteSource(try Self.sample())
    #expect(NumpyArchive.matches(source))
    let archive = try NumpyArchive(source, name: "x.npz")
    #expect(
      try archive.array("words").integers == [0x0403_0201, 0x0807_0605, 0x0C0B_0A09, 0x100F_0E0D])
    #expect(try archive.array("bytes").integers == [1, 2, 3, 4, 5])
    #expect(throws: DiagnosticError.self) { try archive.array("nothing") }
  }

  @Test func damaged() throws {
    let sample = try Self.sample()
    var rng = SplitMix64(seed: 31)
    let before = FuzzTests.residentKilobytes()
    var refused = 0
    for _ in 0..<6000 {
      let bytes = FuzzTests.damage(sample, &rng)
      do throws(DiagnosticError) {
        let archive = try NumpyArchive(ByteSource(bytes), name: "fuzz")
        for name in ["words", "bytes"] { _ = try archive.array(name).integers }
      } catch {
        refused += 1
        #expect(error.diagnostics.first?.code.isEmpty == false)
      }
    }
    #expect(refused > 1000, "the damage should show")
    #expect(FuzzTests.residentKilobytes() - before < 200_000)
  }
}
