import Testing

@testable import NPUSim

/// Collisions of operations that hardware runs at the same time.
@Suite struct HazardTests {
  private static let tables = 22 * 1024

  private func hazards(
    _ stream: StreamBuilder, hardware: Hardware? = .u55(macs: 128)
  ) throws -> [Hazard.Kind] {
    var map = MemoryMap()
    map.bind(
      region: 0,
      to: MemoryBank(name: "constants", constant: [UInt8](repeating: 1, count: 4096)))
    map.bind(
      region: 1, to: MemoryBank(name: "arena", bytes: [UInt8](repeating: 1, count: 1 << 16)))
    var machine = Machine(hardware: try #require(hardware), memory: map)
    var stream = stream
    stream.stop()
    return try machine.run(stream: stream.bytes).hazards.map(\.kind)
  }

  private func copies(_ blockDependency: Int, height: Int, secondFrom: Int = 1024) -> StreamBuilder
  {
    var s = StreamBuilder()
    s.activation(low: -128, high: 127)
    s.copy(.dense(height, 4, 16, base: 0), .dense(height, 4, 16, base: 1024))
    s.ifm(.dense(height, 4, 16, base: secondFrom))
    s.ofm(.dense(height, 4, 16, base: 8192), isGlobal: true)
    s.set(303, blockDependency)
    s.set(5, 1)
    return s
  }

  /// Blocks are 2 rows, 4 columns and 16 channels: with `n` of them the first input block meets the
  /// output block that is `n - 1` from the end, so BLOCKDEP may be `n - 1`.
  @Test(arguments: 0...3, 1...4)
  func blockDependency(value: Int, blocks: Int) throws {
    let found = try hazards(copies(value, height: 2 * blocks))
    #expect(found == (value < blocks ? [] : [.readAfterWrite(role: .ifm, earlier: 46)]))
  }

  /// An input that straddles the earlier output without being a slice of it is compared byte by byte:
  /// blocks have 128 bytes, the first input block ends within the second output block, two from the end.
  @Test func partialOverlap() throws {
    #expect(try hazards(copies(2, height: 8, secondFrom: 1100)).isEmpty)
    #expect(!(try hazards(copies(3, height: 8, secondFrom: 1100)).isEmpty))
    #expect(try hazards(copies(3, height: 8, secondFrom: 20000)).isEmpty)
  }

  @Test func kernelAfterTransfer() throws {
    for waits in [true, false] {
      var s = StreamBuilder()
      s.dma(from: 0, region: 0, to: 0, region: 1, length: 64)
      if waits { s.set(17, 0) }
      s.activation(low: -128, high: 127)
      s.copy(.dense(1, 4, 16, base: 0), .dense(1, 4, 16, base: 64))
      #expect(
        try hazards(s) == (waits ? [] : [.readAfterWrite(role: .ifm, earlier: 5)]))
    }
  }

  /// A kernel may write what a later one reads as weights, if it is through by then.
  @Test(arguments: [nil, 0, 1])
  func weightsWrittenByAKernel(_ wait: Int?) throws {
    var g = SeededGenerator(3)
    let weights = TestWeights.random(8, 1, 1, 16, range: -100...100, &g)
    var encoded = weights.stream(
      depthwise: false, partKernel: false, ifmBits: 8, block: 8, dilationY: 1, dilationX: 1,
      unit: 8, core: 0, cores: 1)
    while encoded.count % 64 != 0 { encoded.append(0xFF) }
    let scales = padded16(
      (0..<8).flatMap { _ in scaleRecord(bias: 0, multiplier: 1 << 30, shift: 40) })
    var arena = [UInt8](repeating: 1, count: 1 << 16)
    for place in [4096, 8192] {
      arena.replaceSubrange(place..<place + encoded.count, with: encoded)
    }

    var s = StreamBuilder()
    s.activation(low: -128, high: 127)
    // The same bytes once more.
    s.copy(
      .dense(1, encoded.count / 16, 16, base: 8192), .dense(1, encoded.count / 16, 16, base: 4096))
    if let wait { s.set(18, wait) }
    s.setWide(32, 4096)
    s.setWide(33, encoded.count)
    s.setWide(34, 0)
    s.setWide(35, scales.count)
    s.set(296, 1)
    s.set(297, 0)
    s.ifm(.dense(1, 4, 16, base: 0))
    s.ofm(.dense(1, 4, 8, base: 1024))
    s.set(279, 7)
    s.kernel()
    s.set(2, 0)
    s.stop()
    var map = MemoryMap()
    map.bind(region: 0, to: MemoryBank(name: "constants", constant: scales))
    map.bind(region: 1, to: MemoryBank(name: "arena", bytes: arena))
    var machine = Machine(hardware: try #require(.u55(macs: 128)), memory: map)
    let found = try machine.run(stream: s.bytes).hazards.map(\.kind)
    guard wait != 0 else {
      #expect(found == [])
      return
    }
    guard found.count == 1, case .readAfterWrite(role: .weights, _)? = found.first else {
      Issue.record("\(found)")
      return
    }
  }

  @Test func transferAfterKernel() throws {
    for waits in [0, 1] {
      var s = StreamBuilder()
      s.activation(low: -128, high: 127)
      s.copy(.dense(1, 4, 16, base: 0), .dense(1, 4, 16, base: 64))
      s.set(18, waits)
      s.dma(from: 0, region: 0, to: 0, region: 1, length: 64)
      let found = try hazards(s)
      #expect(found.isEmpty == (waits == 0))
      if waits == 1 {
        guard case .writeAfterRead(role: .dmaDestination, _)? = found.first else {
          Issue.record("\(found)")
          return
        }
      }
    }
  }

  /// A second DMA on U55 waits for the first; on U65 two run at once.
  @Test func transferAfterTransfer() throws {
    var s = StreamBuilder()
    s.dma(from: 0, region: 0, to: 0, region: 1, length: 64)
    s.dma(from: 0, region: 1, to: 64, region: 1, length: 64)
    #expect(try hazards(s) == [])
    #expect(
      try hazards(s, hardware: .u65(macs: 256)) == [.readAfterWrite(role: .dmaSource, earlier: 5)])
  }

  @Test func tableReloadedUnderAKernel() throws {
    var s = StreamBuilder()
    s.dma(from: 0, region: 0, to: Self.tables, region: nil, length: 256)
    s.set(17, 0)
    s.activation(16, low: -128, high: 127)
    s.copy(.dense(1, 4, 16, base: 0), .dense(1, 4, 16, base: 64))
    s.dma(from: 256, region: 0, to: Self.tables, region: nil, length: 256)
    let found = try hazards(s)
    #expect(found.count == 1)
    guard case .writeAfterRead(role: .dmaDestination, _)? = found.first else {
      Issue.record("\(found)")
      return
    }
  }

  /// On parts with 16 banks an operation without table overwrites the tables.
  @Test func smallPartsLoseTheirTables() throws {
    let tables = 14 * 1024
    var s = StreamBuilder()
    s.dma(from: 0, region: 0, to: tables, region: nil, length: 256)
    s.set(17, 0)
    s.activation(16, low: -128, high: 127)
    s.copy(.dense(1, 4, 16, base: 0), .dense(1, 4, 16, base: 64))
    s.activation(0, low: -128, high: 127)
    s.copy(.dense(1, 4, 16, base: 128), .dense(1, 4, 16, base: 192))
    s.activation(16, low: -128, high: 127)
    s.copy(.dense(1, 4, 16, base: 128), .dense(1, 4, 16, base: 192))
    #expect(try hazards(s, hardware: .u55(macs: 64)) == [.tableNotLoaded(offset: tables)])
  }
}
