import EthosUISA
import TestKit
import Testing

@Suite("Disassembler")
struct DisassemblerTests {
  /// The words that a listing shows, from its lines `OFFSET: WORDS NAME …`.
  private func words(in listing: String) -> [UInt32] {
    listing.split(separator: "\n").flatMap { line -> [UInt32] in
      let parts = line.split(separator: " ")
      guard let first = parts.first, first.hasSuffix(":") else { return [] }
      return parts.dropFirst().prefix(2).prefix { $0.count == 8 }.compactMap {
        UInt32($0, radix: 16)
      }
    }
  }

  @Test("every word of emitted streams is shown and named", .enabled(if: Sample.exist))
  func emitted() throws {
    var commands = 0
    for stream in EmittedStream.all where stream.stream.words.count < 60_000 {
      let text = Disassembler(stream.stream).listing()
      #expect(words(in: text) == stream.stream.words, "\(stream.name)")
      #expect(!text.contains("?"), "\(stream.name) has an unknown value")
      commands += try stream.stream.decode().count
    }
    print("commands listed: \(commands)")
    #expect(commands > 1000)
  }

  @Test("a convolution reads like this")
  func convolution() throws {
    var builder = StreamBuilder(.u55)
    try builder.setIFMRegion(region: 1)
    try builder.setIFMBase0(0x80)
    try builder.setIFMDepthM1(15)
    try builder.setIFMPrecision(
      activationType: .signed, activationPrecision: .b8, activationFormat: .nhwc)
    try builder.setOFMRegion(region: 1)
    try builder.setOFMBase0(0x1000)
    try builder.setOFMZeroPoint(-128)
    try builder.setOFMWidthM1(7)
    try builder.setOFMHeightM1(7)
    try builder.setOFMDepthM1(31)
    try builder.setOFMPrecision(
      activationType: .signed, activationPrecision: .b8, activationFormat: .nhcwb16,
      scaleMode: .global)
    try builder.setOFMScale(shift: 31, scale: 1 << 30)
    try builder.setKernel(height: 3, width: 3, strides: (2, 2))
    try builder.setOFMBlkWidthM1(7)
    try builder.setOFMBlkHeightM1(3)
    try builder.setOFMBlkDepthM1(31)
    try builder.setIFMIBEnd(10)
    builder.omitsRepeatedWrites = false
    try builder.setIFMRegion(region: 1)
    try builder.opConv()
    let words = try builder.finish()
    let text = Disassembler(
      CommandStream(words, product: .u55), regionNames: [1: "arena"]
    ).listing()
    for line in [
      "# 0: CONV 3x3 stride 2x2: int8[17x17x16] NHWC at arena+0x80 → int8[8x8x32] NHCWB16 at "
        + "arena+0x1000, block 4x8x32",
      "00000004: 00004000 00000080   SET_IFM_BASE0             arena+0x80",
      "SET_IFM_DEPTH_M1          size 16",
      "SET_OFM_ZERO_POINT        zero_point 65408 (-128)",
      "SET_OFM_SCALE             1073741824 >> 31 = 0.5",
      "SET_KERNEL_STRIDE         x 2  y 2  weight_order DEPTH_FIRST",
      "SET_IFM_IB_END            bank 10",
      "0001010f          = SET_IFM_REGION            region 1 (arena)",
      "# 1: stop",
    ] {
      #expect(text.contains(line), "\(text)")
    }
  }

  @Test("a listing goes on to the first word that is no command, and says why")
  func broken() {
    let stream = CommandStream([0x0003_0100, 0x0000_0004, 1, 2, 3], product: .u55)
    let text = Disassembler(stream).listing()
    #expect(text.contains("SET_IFM_PAD_TOP"))
    #expect(text.contains("command 1 at byte 4: no cmd0 has number 4"))
    #expect(text.contains("00000004: 00000004 00000001"))
  }
}
