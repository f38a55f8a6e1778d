import Foundation
import Testing

@testable import NPUSim

/// Tables, tanh and sigmoid behind the scaling.
@Suite struct ActivationTests {
  private static let shramEnd = 24 * 1024
  private static let tables = shramEnd - 2048

  @Test(arguments: [true, false])
  func eightBitTable(isSigned: Bool) throws {
    let table = (0..<256).map { UInt8(truncatingIfNeeded: $0 * 7 + 3) }
    var harness = try MachineHarness(constants: table)
    harness.arena.write((0..<256).map { UInt8($0) }, at: 0)
    var s = StreamBuilder()
    s.dma(from: 0, region: 0, to: Self.tables + 256, region: nil, length: 256)
    s.set(17, 0)
    s.activation(17, low: isSigned ? -128 : 0, high: isSigned ? 127 : 255)
    s.copy(
      .dense(1, 16, 16, isSigned: isSigned, base: 0),
      .dense(1, 16, 16, isSigned: isSigned, base: 4096))
    s.stop()
    #expect(try harness.machine.run(stream: s.bytes).hazards == [])
    let expected = (0..<256).map { table[isSigned ? ($0 + 128) % 256 : $0] }
    #expect(harness.arena.read(4096..<4352) == expected)
  }

  /// A table that was not loaded in this job is reported even if an earlier job loaded it.
  @Test func missingTableIsReported() throws {
    var harness = try MachineHarness(constants: [UInt8](repeating: 1, count: 256))
    harness.arena.write([UInt8](repeating: 0, count: 16), at: 0)
    var load = StreamBuilder()
    load.dma(from: 0, region: 0, to: Self.tables, region: nil, length: 256)
    load.stop()
    _ = try harness.machine.run(stream: load.bytes)
    var s = StreamBuilder()
    s.activation(16, low: -128, high: 127)
    s.copy(.dense(1, 1, 16, base: 0), .dense(1, 1, 16, base: 16))
    s.stop()
    let hazards = try harness.machine.run(stream: s.bytes).hazards
    #expect(hazards.map(\.kind) == [.tableNotLoaded(offset: Self.tables)])
  }

  @Test func sixteenBitTableInterpolates() throws {
    var constants: [UInt8] = []
    for i in 0..<512 {
      let base = Int16(truncatingIfNeeded: i * 97 - 20000)
      let slope = Int16(truncatingIfNeeded: 300 - i * 3)
      for half in [UInt16(bitPattern: base), UInt16(bitPattern: slope)] {
        constants += [UInt8(half & 255), UInt8(half >> 8)]
      }
    }
    var harness = try MachineHarness(constants: constants)
    let inputs: [Int] = [-32768, -32767, -1, 0, 1, 127, 128, 12345, -12345, 32767]
    let ifm = TestTensor.dense(1, 10, 1, bytes: 2, base: 0)
    var memory = [UInt8](repeating: 0, count: 64)
    for (x, value) in inputs.enumerated() { ifm.store(value, &memory, 0, x, 0) }
    harness.arena.write(memory, at: 0)
    let ofm = TestTensor.dense(1, 10, 1, bytes: 2, base: 64)
    var s = StreamBuilder()
    s.dma(from: 0, region: 0, to: Self.tables, region: nil, length: 2048)
    s.activation(16, low: -32768, high: 32767)
    s.copy(ifm, ofm)
    s.stop()
    _ = try harness.machine.run(stream: s.bytes)
    let out = harness.arena.read(0..<128)
    for (x, value) in inputs.enumerated() {
      let u = value + 32768
      let i = u / 128
      let expected =
        i * 97 - 20000 + Int((Double((300 - i * 3) * (u % 128)) / 128 + 0.5).rounded(.down))
      #expect(ofm.load(out, 0, x, 0) == expected)
    }
  }

  /// The exponential of softmax: 8-bit index, 32-bit entries.
  @Test func wideTable() throws {
    let constants = (0..<256).flatMap { i -> [UInt8] in
      let v = UInt32(truncatingIfNeeded: i * 1_000_003 - 50_000_000)
      return (0..<4).map { UInt8(truncatingIfNeeded: v >> UInt32(8 * $0)) }
    }
    var harness = try MachineHarness(constants: constants)
    let ifm = TestTensor.dense(1, 4, 1, bytes: 1, base: 0)
    harness.arena.write([0, 127, 128, 200], at: 0)
    let ofm = TestTensor.dense(1, 4, 1, bytes: 4, base: 64)
    var s = StreamBuilder()
    s.dma(from: 0, region: 0, to: Self.tables, region: nil, length: 1024)
    s.activation(16, clip: 3, low: -128, high: 127)
    s.ifm(ifm)
    s.ofm(ofm, isGlobal: true)
    s.kernel()
    s.setScale(36, multiplier: 1, shift: 0)
    s.set(5, 1)
    s.stop()
    _ = try harness.machine.run(stream: s.bytes)
    let out = harness.arena.read(0..<128)
    for (x, value) in [0, 127, -128, -56].enumerated() {
      #expect(ofm.load(out, 0, x, 0) == (value + 128) * 1_000_003 - 50_000_000)
    }
  }

  /// tanh and sigmoid follow the real functions closely and are odd about their centres.
  @Test(arguments: [3, 4])
  func smoothFunctions(function: Int) throws {
    var harness = try MachineHarness()
    let count = 4096
    let ifm = TestTensor.dense(1, count, 1, bytes: 2, base: 0)
    let ofm = TestTensor.dense(1, count, 1, bytes: 2, base: 2 * count)
    var memory = [UInt8](repeating: 0, count: 2 * count)
    for x in 0..<count { ifm.store(x * 16 - 32768, &memory, 0, x, 0) }
    harness.arena.write(memory, at: 0)
    var s = StreamBuilder()
    s.activation(function, low: -32768, high: 32767)
    s.ifm(ifm)
    s.ofm(ofm, isGlobal: true)
    s.kernel()
    s.setScale(36, multiplier: 3, shift: 0)
    s.set(5, 1)
    s.stop()
    _ = try harness.machine.run(stream: s.bytes)
    let out = harness.arena.read(0..<4 * count)
    let worst = (0..<count).map { x in
      let real = Double(x * 16 - 32768) / 4096
      let expected = (function == 3 ? tanh(real) : 1 / (1 + exp(-real))) * 32768
      return abs(Double(ofm.load(out, 0, x, 0)) - expected)
    }.max()
    #expect(try #require(worst) <= (function == 3 ? 16 : 8))
    #expect(ofm.load(out, 0, 2048, 0) == (function == 3 ? 0 : 16384))
    #expect(ofm.load(out, 0, count - 1, 0) == (function == 3 ? 32767 : 32757))
  }

  /// Both sides of TFLite's table where it is not the rounded value (entry 4 is 35493, not 35492).
  @Test func sharedTable() {
    #expect(SigmoidTable.values[0...6] == [32768, 33451, 34133, 34813, 35493, 36169, 36843])
    #expect(SigmoidTable.values[255] == 65535)
  }
}
