import Testing

@testable import NPUSim

/// DMA, provenance of staged weights and the weight cache.
@Suite struct TransferTests {
  @Test func movesBytesAndReportsUnwrittenOnes() throws {
    var harness = try MachineHarness(constants: (0..<64).map { UInt8($0) })
    var s = StreamBuilder()
    s.dma(from: 16, region: 0, to: 32, region: 1, length: 32)
    s.dma(from: 48, region: 1, to: 128, region: 1, length: 32)
    s.stop()
    let result = try harness.machine.run(stream: s.bytes)
    #expect(harness.arena.read(32..<64) == (16..<48).map { UInt8($0) })
    #expect(harness.arena.read(128..<144) == (32..<48).map { UInt8($0) })
    #expect(
      result.hazards.map(\.kind) == [
        .uninitialisedRead(role: .dmaSource, bank: "arena", offset: 64)
      ])
    #expect(result.transfers == 2)
    #expect(result.interrupts == [0xFFFF])
  }

  /// U65 2D: dense source, pieces of the destination with a gap between them.
  @Test func stridedDestination() throws {
    var map = MemoryMap()
    let arena = MemoryBank(name: "arena", count: 64)
    map.bind(region: 0, to: MemoryBank(name: "constants", constant: (1...12).map { UInt8($0) }))
    map.bind(region: 1, to: arena)
    var machine = Machine(hardware: try #require(Hardware.u65(macs: 256)), memory: map)
    var s = StreamBuilder()
    s.set(306, 4)
    s.setWide(51, 2)
    s.set(304, 0)
    s.setWide(48, 0)
    s.set(305, 1 | 1 << 9)
    s.setWide(49, 1)
    s.setWide(50, 3)
    s.set(16, 0)
    s.stop()
    _ = try machine.run(stream: s.bytes)
    #expect(
      arena.read(0..<21) == [
        0, 1, 2, 3, 0, 0, 4, 5, 6, 0, 0, 7, 8, 9, 0, 0, 10, 11, 12, 0, 0,
      ])
  }

  /// A fully connected layer of one input and two outputs whose weights are staged at 4096.
  private func layer(weights: [Int]) -> (constants: [UInt8], stream: StreamBuilder) {
    let encoded = TestWeights(values: weights, ofmDepth: 2, height: 1, width: 1, ifmDepth: 1)
      .stream(
        depthwise: false, partKernel: false, ifmBits: 8, block: 16, dilationY: 1, dilationX: 1,
        unit: 8)
    let scales = padded16(
      (0..<2).flatMap { _ in scaleRecord(bias: 0, multiplier: 1, shift: 0) })
    var s = StreamBuilder()
    s.dma(from: 0, region: 0, to: 4096, region: 1, length: encoded.count + scales.count)
    s.set(296, 1)
    s.set(297, 1)
    s.setWide(32, 4096)
    s.setWide(33, encoded.count)
    s.setWide(34, 4096 + encoded.count)
    s.setWide(35, scales.count)
    s.ifm(.dense(1, 1, 1, base: 0))
    s.ofm(.dense(1, 1, 2, base: 16))
    s.kernel()
    s.activation(low: -128, high: 127)
    s.set(17, 0)
    s.set(2, 0)
    s.stop()
    return (encoded + scales, s)
  }

  @Test func stagedWeightsAreDecodedOnce() throws {
    let (constants, stream) = layer(weights: [3, -5])
    var harness = try MachineHarness(constants: constants)
    harness.arena.write([2], at: 0)
    for _ in 0..<3 { _ = try harness.machine.run(stream: stream.bytes) }
    #expect(harness.arena.read(16..<18) == [6, 246])
    #expect(harness.machine.weightCacheCounts == (hits: 2, misses: 1))
  }

  /// Weights that the host rewrites in RAM are never taken from the cache.
  @Test func rewrittenWeightsAreDecodedAgain() throws {
    let (first, _) = layer(weights: [3, -5])
    let (second, staged) = layer(weights: [7, 9])
    var direct = StreamBuilder()
    direct = staged
    var harness = try MachineHarness(constants: first)
    harness.arena.write([2], at: 0)
    _ = try harness.machine.run(stream: staged.bytes)
    // The same stream without its DMA: 4 registers of 3, 3 and 1, 1 words and the start.
    let skip = 4 + 8 + 4 + 8 + 8 + 4
    harness.arena.write(second, at: 4096)
    for _ in 0..<2 {
      _ = try harness.machine.run(stream: Array(direct.bytes[skip...]))
      #expect(harness.arena.read(16..<18) == [14, 18])
    }
    harness.arena.write(first, at: 4096)
    _ = try harness.machine.run(stream: Array(direct.bytes[skip...]))
    #expect(harness.arena.read(16..<18) == [6, 246])
    #expect(harness.machine.weightCacheCounts == (hits: 0, misses: 4))
  }

  @Test func withoutBudgetNothingIsKept() throws {
    let (constants, stream) = layer(weights: [3, -5])
    var options = RunOptions()
    options.weightCacheBudget = 0
    var harness = try MachineHarness(constants: constants, options: options)
    harness.arena.write([2], at: 0)
    for _ in 0..<3 { _ = try harness.machine.run(stream: stream.bytes) }
    #expect(harness.machine.weightCacheCounts == (hits: 0, misses: 3))
  }

  @Test func provenanceSplitsAroundWrites() {
    let bank = MemoryBank(name: "flash", constant: [UInt8](repeating: 0, count: 100))
    var provenance = Provenance()
    provenance.remember(.init(range: 1000..<1100, source: bank, offset: 0))
    provenance.forget(1040..<1050)
    #expect(provenance.source(of: 1000..<1040)?.offset == 0)
    #expect(provenance.source(of: 1060..<1100)?.offset == 60)
    #expect(provenance.source(of: 1039..<1041) == nil)
    #expect(provenance.source(of: 1049..<1060) == nil)
  }

  @Test func initialisedBytes() {
    var map = InitialisedMap(count: 300, initialised: false)
    map.mark(10..<200)
    #expect(map.firstMissing(in: 10..<200) == nil)
    #expect(map.firstMissing(in: 9..<20) == 9)
    #expect(map.firstMissing(in: 100..<300) == 200)
    #expect(map.missing == 110)
    map.mark(0..<300)
    #expect(map.isComplete)
  }
}
