import EthosUISA
import Testing

@Suite("Accelerator configurations")
struct AcceleratorTests {
  /// The configuration words that Vela 5.2.0 writes.
  static let words: [(String, UInt32)] = [
    ("ethos-u55-32", 0x0000_1005), ("ethos-u55-64", 0x0000_1006),
    ("ethos-u55-128", 0x0000_1807), ("ethos-u55-256", 0x0000_3008),
    ("ethos-u65-256", 0x1000_3008), ("ethos-u65-512", 0x1000_6009),
    ("ethos-u85-128", 0x2000_0117), ("ethos-u85-256", 0x2000_0118),
    ("ethos-u85-512", 0x2000_1119), ("ethos-u85-1024", 0x2000_251A),
    ("ethos-u85-2048", 0x2000_261B),
  ]

  @Test("configuration words are those of Vela", arguments: words)
  func configWord(_ name: String, _ word: UInt32) throws {
    let accelerator = try #require(Accelerator.named(name))
    #expect(accelerator.configWord == word)
    #expect(Accelerator(configWord: word) == accelerator)
    #expect(accelerator.idWord == (accelerator.product == .u85 ? 0x2000_7000 : 0x1006_6001))
  }

  @Test("the list is complete and unknown words are refused")
  func complete() {
    #expect(Accelerator.all.map(\.name) == Self.words.map(\.0))
    #expect(Accelerator(configWord: 0x3000_1005) == nil)
    #expect(Accelerator(configWord: 0x0000_1009) == nil)
    #expect(Accelerator(configWord: 0x2000_0107) == nil)
    #expect(Accelerator(configWord: .max) == nil)
  }

  @Test("a microblock holds one output per eight multipliers")
  func microblocks() {
    for accelerator in Accelerator.all where accelerator.product == .u85 {
      for block in accelerator.microblocks { #expect(block.elements * 8 == accelerator.macs) }
    }
  }

  @Test("drivers refuse what does not fit")
  func compatibility() throws {
    let part = try #require(Accelerator.named("ethos-u85-256"))
    let payload = Payload(words: [0xFFFF_0000], for: part)
    #expect(payload.incompatibility(with: part.configuration, id: part.product.streamID) == nil)
    for other in Accelerator.all where other != part {
      #expect(
        payload.incompatibility(with: other.configuration, id: part.product.streamID) != nil)
    }
    let older = IdentificationWord(rawValue: 0x1006_6001)
    #expect(
      payload.incompatibility(with: part.configuration, id: older)
        == .architecture(streamMajor: 2, streamMinor: 0, hardwareMajor: 1, hardwareMinor: 0))
    var wanting = payload
    wanting.configuration = ConfigurationWord(rawValue: part.configWord | 1 << 27)
    #expect(
      wanting.incompatibility(with: part.configuration, id: part.product.streamID) == .customDMA)
    var ports = payload
    ports.configuration = ConfigurationWord(rawValue: part.configWord ^ 1 << 10)
    #expect(ports.incompatibility(with: part.configuration, id: part.product.streamID) != nil)
  }
}
