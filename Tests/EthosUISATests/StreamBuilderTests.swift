import EthosUISA
import Testing

@Suite("Stream builder")
struct StreamBuilderTests {
  @Test("repeated register writes are left out, operations are not")
  func shadow() throws {
    var builder = StreamBuilder(.u55)
    try builder.setIFMPadTop(3)
    try builder.setIFMPadTop(3)
    try builder.opConv()
    try builder.opConv()
    try builder.setIFMPadTop(4)
    try builder.setIFMPadTop(3)
    #expect(builder.words == [0x0003_0100, 2, 2, 0x0004_0100, 0x0003_0100])
    builder.forgetRegisters()
    try builder.setIFMPadTop(3)
    #expect(builder.words.count == 6)
    let words = try builder.finish()
    #expect(words.last == 0xFFFF_0000)
  }

  @Test("a branch makes the builder forget what registers hold")
  func branch() throws {
    var builder = StreamBuilder(.u85)
    try builder.setIFMRegion(region: 1)
    let start = builder.byteOffset
    try builder.opBranch(branchCond: .rfTrue, branchTarget: start)
    try builder.setIFMRegion(region: 1)
    #expect(builder.words == [0x0001_010F, 0x0001_4100, 4, 0x0001_010F])
  }

  @Test("addresses take 32 bits on U55 and 40 on the others; strides may be negative")
  func addresses() throws {
    var u65 = StreamBuilder(.u65)
    try u65.setIFMBase0(0x12_3456_7890)
    try u65.setOFMStrideY(-16)
    #expect(u65.words == [0x0012_4000, 0x3456_7890, 0x00FF_4015, 0xFFFF_FFF0])
    var u55 = StreamBuilder(.u55)
    try u55.setOFMStrideY(-16)
    #expect(u55.words == [0x4015, 0xFFFF_FFF0])
    let command = try #require(try CommandStream(u65.words, product: .u65).decode().last)
    #expect(command.signedAddress(on: .u65) == -16)
    #expect(command.value(.addr, on: .u65) == -16)
    for (product, value) in [(Product.u55, 1 << 32), (.u65, 1 << 40), (.u65, -1)] {
      #expect(throws: EncodeError.self) {
        var builder = StreamBuilder(product)
        try builder.setIFMBase0(value)
      }
    }
  }

  @Test("errors name the register and the value")
  func errors() throws {
    var builder = StreamBuilder(.u55)
    func reason(_ body: () throws(EncodeError) -> Void) -> EncodeError.Reason? {
      do throws(EncodeError) {
        try body()
        return nil
      } catch {
        return error.reason
      }
    }
    let cases: [(EncodeError.Reason, EncodeError.Reason?)] = [
      (
        .range(.pad, value: 128, allowed: 0...127),
        reason { () throws(EncodeError) in try builder.setIFMPadTop(128) }
      ),
      (
        .range(.pad, value: -1, allowed: 0...127),
        reason { () throws(EncodeError) in try builder.setIFMPadTop(-1) }
      ),
      (
        .alignment(.addr, value: 8, multiple: 16),
        reason { () throws(EncodeError) in try builder.setWeightBase(8) }
      ),
      (.absentCommand, reason { () throws(EncodeError) in try builder.opResize(.nearest) }),
      (
        .absentField(.weightsIFM2),
        reason { () throws(EncodeError) in try builder.opConv(1) }
      ),
      (
        .absentCase(.accFormat, "I48"),
        reason { () throws(EncodeError) in try builder.setAccFormat(accFormat: .i48) }
      ),
    ]
    for (expected, found) in cases { #expect(found == expected) }
    #expect(builder.words.isEmpty)
    do {
      try builder.setIFMPadTop(128)
    } catch {
      #expect(error.description == "Ethos-U55 NPU_SET_IFM_PAD_TOP.pad is 128, must be 0 to 127")
    }
  }

  @Test("kernels and transfers from plain numbers")
  func conveniences() throws {
    var builder = StreamBuilder(.u55)
    try builder.setKernel(
      height: 3, width: 5, strides: (3, 2), dilations: (2, 1), order: .partKernelFirst)
    var registers = RegisterFile(.u55)
    for command in try CommandStream(builder.words, product: .u55).decode() {
      registers.apply(command)
    }
    #expect(registers.value(.setKernelHeightM1, .heightM1) == 4)
    #expect(registers.value(.setKernelWidthM1, .widthM1) == 4)
    #expect(registers.rawBits(.setKernelStride) == 0x0255_0122 ^ 0x0040_0000)
    #expect(throws: EncodeError.self) {
      var other = StreamBuilder(.u55)
      try other.setKernel(height: 1, width: 1, strides: (5, 1))
    }
    for product in Product.allCases {
      var transfer = StreamBuilder(product)
      try transfer.transfer(from: 0, offset: 16, to: 1, offset: 32, length: 64)
      let text = Disassembler(CommandStream(transfer.words, product: product)).listing()
      #expect(text.contains("DMA region 0+0x10 → region 1+0x20, 64 bytes"))
    }
  }
}
