import Testing

@testable import NPUSim

/// Streams that must end in an error that says what, and never in a trap.
@Suite struct FaultTests {
  /// A legal copy of 16 bytes from 0 to 64.
  private func copy() -> StreamBuilder {
    var s = StreamBuilder()
    s.activation(low: -128, high: 127)
    s.copy(.dense(1, 1, 16, base: 0), .dense(1, 1, 16, base: 64))
    return s
  }

  @Test func unsetRegister() throws {
    var harness = try MachineHarness()
    var s = StreamBuilder()
    s.ifm(.dense(1, 1, 16, base: 0))
    s.set(5, 1)
    #expect(harness.fault(s) == .registerNotSet("ofmHeightM1"))
  }

  /// Registers do not survive from job to job.
  @Test func registersAreForgotten() throws {
    var harness = try MachineHarness()
    var s = copy()
    s.stop()
    #expect(harness.fault(s) == nil)
    var again = StreamBuilder()
    again.set(5, 1)
    #expect(harness.fault(again) == .registerNotSet("ofmHeightM1"))
  }

  @Test func outsideTheRegion() throws {
    var harness = try MachineHarness(
      arena: MemoryBank(name: "arena", bytes: [UInt8](repeating: 0, count: 100)))
    var s = StreamBuilder()
    s.activation(low: -128, high: 127)
    s.copy(.dense(1, 1, 16, base: 0), .dense(1, 1, 16, base: 96))
    #expect(
      harness.fault(s) == .outOfRegion(role: .ofm, region: 1, lower: 96, upper: 112, size: 100))
  }

  /// Negative strides are legal as long as every byte is inside.
  @Test func negativeStride() throws {
    var harness = try MachineHarness()
    harness.arena.write((0..<16).map { UInt8($0) }, at: 0)
    var ifm = TestTensor.dense(1, 4, 4, base: 0)
    ifm.bases[0] = 12
    ifm.strideX = -4
    var s = StreamBuilder()
    s.activation(low: -128, high: 127)
    s.copy(ifm, .dense(1, 4, 4, base: 64))
    s.stop()
    #expect(harness.fault(s) == nil)
    #expect(
      harness.arena.read(64..<80) == [12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3])
    ifm.bases[0] = 8
    var t = StreamBuilder()
    t.activation(low: -128, high: 127)
    t.copy(ifm, .dense(1, 4, 4, base: 64))
    #expect(
      harness.fault(t) == .outOfRegion(role: .ifm, region: 1, lower: -4, upper: 12, size: 65536))
  }

  @Test func constantsAreNotWritten() throws {
    var harness = try MachineHarness(constants: [UInt8](repeating: 0, count: 256))
    var ofm = TestTensor.dense(1, 1, 16, base: 0)
    ofm.region = 0
    var s = StreamBuilder()
    s.activation(low: -128, high: 127)
    s.copy(.dense(1, 1, 16, base: 0), ofm)
    #expect(harness.fault(s) == .writeToConstant(role: .ofm, region: 0))
    ofm.region = 5
    var t = StreamBuilder()
    t.activation(low: -128, high: 127)
    t.copy(.dense(1, 1, 16, base: 0), ofm)
    #expect(harness.fault(t) == .unmappedRegion(role: .ofm, region: 5))
  }

  @Test func errorsNameThePlace() throws {
    var harness = try MachineHarness()
    var s = StreamBuilder()
    s.set(261, 1)
    s.setWide(0, 4)
    s.set(700, 0)
    do {
      _ = try harness.machine.run(stream: s.bytes)
      Issue.record("an unknown opcode was accepted")
    } catch {
      #expect(error.commandIndex == 2)
      #expect(error.byteOffset == 12)
      #expect("\(error)".contains("unknown opcode 700"))
    }
  }

  @Test func unwrittenInputIsReported() throws {
    var harness = try MachineHarness()
    harness.arena.write([UInt8](repeating: 1, count: 10), at: 0)
    let stream = copy()
    let result = try harness.machine.run(stream: stream.bytes)
    #expect(
      result.hazards.map(\.kind) == [
        .uninitialisedRead(role: .ifm, bank: "arena", offset: 10), .missingStop,
      ])
  }

  @Test func operationSizesAreLimited() throws {
    var options = RunOptions()
    options.limits.maximumElements = 15
    var harness = try MachineHarness(options: options)
    #expect(
      harness.fault(copy()) == .limitExceeded(what: "OFM elements", value: 16, limit: 15))
  }

  /// Mutated legal streams end in a result or an error: no trap, no endless loop, no huge allocation.
  @Test(arguments: 0..<8)
  func mutatedStreams(seed: Int) throws {
    var g = SeededGenerator(UInt64(seed) &+ 3000)
    var options = RunOptions()
    options.limits.maximumElements = 1 << 14
    options.limits.maximumOperations = 1 << 18
    options.limits.maximumTransfer = 1 << 14
    options.limits.maximumCommands = 2000
    let weights = TestWeights.random(16, 3, 3, 8, range: -99...99, &g).stream(
      depthwise: false, partKernel: false, ifmBits: 8, block: 16, dilationY: 1, dilationX: 1,
      unit: 8)
    let scales = padded16(
      (0..<16).flatMap { _ in scaleRecord(bias: 3, multiplier: 1 << 30, shift: 38) })
    var s = StreamBuilder()
    s.dma(from: 0, region: 0, to: 22 * 1024, region: nil, length: 256)
    s.set(296, 0)
    s.set(297, 0)
    s.setWide(32, 0)
    s.setWide(33, weights.count)
    s.setWide(34, weights.count)
    s.setWide(35, scales.count)
    s.ifm(.dense(5, 5, 8, base: 0))
    s.ofm(.dense(5, 5, 16, base: 1024))
    s.kernel(3, 3, pads: [1, 1, 1, 1])
    s.activation(16, low: -128, high: 127)
    s.set(2, 0)
    s.ifm2(.dense(5, 5, 16, base: 1024))
    s.ifm(.dense(5, 5, 16, base: 1024))
    s.setScale(37, multiplier: 1 << 30, shift: 20)
    s.setScale(38, multiplier: 1, shift: 0)
    s.setScale(36, multiplier: 1 << 30, shift: 33)
    s.set(6, 1)
    s.kernel(2, 2)
    s.set(5, 0)
    s.stop()
    var outcomes: Set<String> = []
    for _ in 0..<400 {
      var bytes = s.bytes
      for _ in 0..<g.int(1...4) {
        switch g.int(0...3) {
        case 0: bytes[g.int(0...bytes.count - 1)] = UInt8(g.int(0...255))
        case 1: bytes[g.int(0...bytes.count - 1)] ^= 1 << UInt8(g.int(0...7))
        case 2: bytes.removeLast(min(bytes.count - 4, g.int(0...40)))
        default:
          let at = g.int(0...bytes.count / 4 - 1) * 4
          bytes.insert(contentsOf: bytes[at..<at + 4], at: g.int(0...bytes.count / 4) * 4)
        }
      }
      var data = weights + scales
      if g.int(0...3) == 0 { data[g.int(0...data.count - 1)] ^= UInt8(g.int(1...255)) }
      var harness = try MachineHarness(
        constants: data, arena: MemoryBank(name: "arena", count: 4096), options: options)
      do {
        let result = try harness.machine.run(stream: bytes)
        outcomes.insert(result.hazards.isEmpty ? "fine" : "hazard")
      } catch {
        outcomes.insert("error")
      }
    }
    #expect(outcomes.contains("error"))
  }

  /// Random words behind a random payload header.
  @Test func randomPayloads() throws {
    var g = SeededGenerator(4000)
    var harness = try MachineHarness()
    for _ in 0..<2000 {
      var bytes: [UInt8] = [0x43, 0x4F, 0x50, 0x31]
      bytes += (0..<g.int(0...200)).map { _ in UInt8(g.int(0...255)) }
      if g.flip(), bytes.count > 8 { bytes[4] = UInt8([1, 2, 5][g.int(0...2)]) }
      _ = bytes.withUnsafeBytes { payload in
        #expect(throws: SimulationError.self) { try harness.machine.run(payload: payload) }
      }
    }
  }
}
