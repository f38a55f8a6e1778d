import EthosUISA
import Foundation
import TestKit
import Testing

@Suite("Streams of Arm's compiler", .enabled(if: Sample.exist))
struct SampleStreamTests {
  @Test("every sample is found")
  func found() { #expect(Sample.all.count >= 13) }

  @Test("every word is decoded as an independent decoder does", arguments: Sample.all)
  func decode(_ sample: Sample) throws {
    let stream = CommandStream(sample.words, product: sample.product)
    try stream.validate()
    let commands = try stream.decode()
    #expect(commands.count == sample.listing.count)
    #expect(commands.reduce(0) { $0 + $1.wordCount } == sample.words.count)
    for (command, entry) in zip(commands, sample.listing) {
      #expect(command.byteOffset == entry.offset)
      #expect(command.opcode.name == entry.name)
      let layout = try #require(InstructionSet.of(sample.product).layout(command.opcode))
      for (name, value) in entry.fields {
        let field = try #require(
          layout.fields.first { $0.field.name == name }, "\(entry.name).\(name)")
        #expect(Int(field.bits(of: command.bits)) == value, "\(entry.name).\(name)")
      }
    }
  }

  @Test("decode and encode give the same words", arguments: Sample.all)
  func reencode(_ sample: Sample) throws {
    var builder = StreamBuilder(sample.product)
    builder.omitsRepeatedWrites = false
    for command in try CommandStream(sample.words, product: sample.product).decode() {
      let layout = try #require(InstructionSet.of(sample.product).layout(command.opcode))
      var values = try CommandValues(command.opcode, on: sample.product)
      for field in layout.fields {
        // Through the names where the values have some, as typed callers do.
        if let id = field.enumeration {
          let code = UInt32(field.bits(of: command.bits))
          let name = try #require(id.name(of: code, on: sample.product))
          let member = try #require(
            id.members(on: sample.product).first { $0.name == name })
          try values.put(field.field, Int(member.code))
        } else {
          try values.put(field.field, field.value(of: command.bits))
        }
      }
      builder.append(values)
      // Bits that hardware ignores are not reproduced: the upper address byte of a U55.
      let expected = command.bits & ~layout.ignoredBits
      #expect(values.bits == expected)
    }
    let mask: (UInt32, UInt32) -> Bool = { $0 == $1 || $0 == $1 & 0xFF00_FFFF }
    #expect(builder.words.count == sample.words.count)
    #expect(zip(builder.words, sample.words).allSatisfy(mask))
  }

  @Test("the payload sample is read and written byte by byte")
  func payload() throws {
    let url = SharedData.url("spec/samples/kws_int8_u55-128.cop1")
    let bytes = [UInt8](try Data(contentsOf: url))
    let (payload, range) = try Payload.locate(bytes)
    #expect(range == 32..<bytes.count)
    #expect(payload.accelerator?.name == "ethos-u55-128")
    #expect(payload.words == Sample.all.first { $0.name == "kws_int8_u55-128" }?.words)
    #expect(try payload.serialise() == bytes)
  }
}
