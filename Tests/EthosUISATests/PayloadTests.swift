import EthosUISA
import TestKit
import Testing

@Suite("Driver payloads")
struct PayloadTests {
  @Test("the first format, byte by byte")
  func cop1() throws {
    let part = try #require(Accelerator.named("ethos-u55-128"))
    let bytes = try Payload(words: [2, 0xFFFF_0000], for: part).serialise()
    #expect(
      [UInt32](littleEndianBytes: bytes) == [
        0x3150_4F43, 0x0010_0001, 0x1807, 0x1006_6001, 5, 5, 5, 0x0002_0002, 2, 0xFFFF_0000,
      ])
    let (payload, range) = try Payload.locate(bytes)
    #expect(range == 32..<40)
    #expect(payload.accelerator == part)
    #expect(payload.stream?.product == .u55)
    #expect(DriverPayload.encode(stream: [2, 0xFFFF_0000], for: part) == bytes)
  }

  @Test("the second format, byte by byte")
  func cop2() throws {
    let part = try #require(Accelerator.named("ethos-u85-256"))
    let metadata = Payload.CommonMetadata(features: 1, fastScratchBytes: 0x1_0000_0002)
    let bytes = try Payload(words: [0xFFFF_0000], for: part, format: .cop2(metadata)).serialise()
    #expect(
      [UInt32](littleEndianBytes: bytes) == [
        0x3250_4F43, 1, 52, 0, 1, 44, 36, 0x4D55_4556, 1, 20, 0x2000_0118, 0x2000_7000, 1, 2, 1,
        0xFFFF_FFFF, 0xFFFF_0000,
      ])
    let (payload, range) = try Payload.locate(bytes)
    #expect(range == 64..<68)
    #expect(payload.format == .cop2(metadata))
  }

  @Test("long streams use the byte above the count")
  func long() throws {
    let part = try #require(Accelerator.named("ethos-u55-32"))
    let words = [UInt32](repeating: 0, count: 0x1_2345)
    let bytes = try Payload(words: words, for: part).serialise()
    #expect(bytes[28..<32] == [2, 1, 0x45, 0x23])
    #expect(try Payload.parse(bytes).words.count == words.count)
    let tooLong = [UInt32](repeating: 0, count: CommandStream.wordLimit + 1)
    #expect(throws: PayloadError.self) { try Payload(words: tooLong, for: part).serialise() }
    #expect(DriverPayload.encode(stream: tooLong, for: part) == nil)
  }

  @Test("what is no payload is refused with a reason")
  func refused() {
    func reason(_ words: [UInt32]) -> PayloadError.Reason? {
      do throws(PayloadError) {
        _ = try Payload.parse(words.littleEndianBytes)
        return nil
      } catch {
        return error.reason
      }
    }
    let cop1: UInt32 = 0x3150_4F43
    #expect(reason([]) == .truncated)
    #expect(reason([1]) == .magic(1))
    #expect(reason([cop1]) == .noStream)
    #expect(reason([cop1, 3]) == .unknownAction(3))
    #expect(reason([cop1, 1, 0]) == .truncated)
    #expect(reason([cop1, 0x0001_0002, 0]) == .noConfiguration)
    #expect(reason([cop1, 1, 0x1807, 0x1006_6001, 0x0001_0002, 0]) == .misaligned)
    #expect(reason([cop1, 1, 0x1807, 0x1006_6001, 1, 0, 0]) == .repeated)
    #expect(reason([cop1, 1, 0, 0, 5, 5, 5, 0x0002_0002, 0]) == .truncated)
    #expect(reason([cop1, 1, 0, 0, 5, 5, 5, 0xFFFF_FF02, 0]) == .streamTooLong(words: 0xFF_FFFF))
  }

  @Test("payloads of Arm's compiler are read and written byte by byte", .enabled(if: Sample.exist))
  func emitted() throws {
    for stream in EmittedStream.all {
      guard let bytes = stream.payload else { continue }
      #expect(try Payload.parse(bytes).serialise() == bytes, "\(stream.name)")
      try stream.stream.validate()
    }
  }
}
