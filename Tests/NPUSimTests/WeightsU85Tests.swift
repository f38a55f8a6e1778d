import EthosUISA
import Testing

@testable import NPUSim

/// Weight streams of U85: what the compiler's codec writes, the simulator's decoder reads back.
@Suite struct WeightsU85Tests {
  typealias Hardware = NPUSim.Hardware

  /// One random layer with its streams.
  struct Layer {
    var hardware: Hardware
    var geometry: WeightGeometry
    var layout: WeightLayout
    /// OHWI.
    var weights: [Int16]
    var streams: [[UInt8]]

    init(_ g: inout SeededGenerator) throws {
      let macs = [128, 256, 512, 1024, 2048][g.int(0...4)]
      hardware = try #require(Hardware.u85(macs: macs))
      let depths: [Int] =
        switch macs {
        case 128: [8, 16]
        case 256: [16, 8]
        case 512: [16]
        case 1024: [32, 16]
        default: [64, 16]
        }
      let unit = depths[g.int(0...depths.count - 1)]
      let traversal = WeightGeometry.Traversal.allCases[g.int(0...2)]
      let isDepthwise = traversal == .depthwise
      let outputs = g.int(1...90)
      let inputs = isDepthwise ? 1 : g.int(1...150)
      let isSparse = !isDepthwise && g.int(0...3) == 0
      let isFast = !isDepthwise && g.int(0...2) == 0
      var geometry = WeightGeometry(
        family: .u85, traversal: traversal, outputs: outputs, inputs: inputs,
        kernelHeight: g.int(1...4) * g.int(1...3), kernelWidth: g.int(1...4),
        ofmBlockDepth: 16 * g.int(1...4), ofmUblockDepth: unit, ifmBits: g.flip() ? 8 : 16)
      geometry.format = isFast ? .fast : .standard
      geometry.dilationY = g.int(1...2)
      geometry.dilationX = g.int(1...2)
      geometry.strideY = g.int(1...3)
      geometry.strideX = g.int(1...3)
      geometry.cores = hardware.cores
      geometry.macs = macs
      geometry.isSparse = isSparse
      if geometry.ofmBlockDepth % unit != 0 { geometry.ofmBlockDepth = unit }
      let count = outputs * inputs * geometry.kernelHeight * geometry.kernelWidth
      let levels = [2, 4, 16, 255][g.int(0...3)]
      let values = (0..<levels).map { _ in Int16(g.int(-127...127)) }
      var weights = (0..<count).map { _ in values[g.int(0...levels - 1)] }
      if isSparse {
        // Two of four neighbouring input channels at most.
        for i in 0..<count where i % inputs % 4 >= 2 { weights[i] = 0 }
      }
      self.weights = weights
      self.geometry = geometry
      layout = WeightLayout(
        isDepthwise: isDepthwise, isPartKernelFirst: traversal == .partKernelFirst,
        ifmBits: geometry.ifmBits, ofmDepth: outputs, ifmDepth: isDepthwise ? outputs : inputs,
        kernelHeight: geometry.kernelHeight, kernelWidth: geometry.kernelWidth,
        strideY: geometry.strideY, strideX: geometry.strideX, dilationY: geometry.dilationY,
        dilationX: geometry.dilationX, blockDepth: geometry.ofmBlockDepth, microblockDepth: unit,
        isFast: isFast, isSparse: isSparse)
      streams = try (0..<geometry.streamCount).map { stream in
        try weights.withUnsafeBufferPointer {
          try WeightStream.encode($0, geometry: geometry, stream: stream)
        }
      }
    }

    /// The weights as the datapath wants them.
    var expected: [Int16] {
      guard layout.isDepthwise else { return weights }
      let taps = layout.kernelHeight * layout.kernelWidth
      return (0..<taps).flatMap { tap in
        (0..<layout.ofmDepth).map { weights[$0 * taps + tap] }
      }
    }

    func read(_ streams: [[UInt8]]) throws -> [Int16] {
      let spans = streams.map {
        MemorySpan(bank: MemoryBank(name: "stream", constant: $0), range: 0..<$0.count)
      }
      return try WeightReader.read(spans, layout: layout, hardware: hardware)
    }
  }

  @Test(arguments: 0..<8)
  func readsWhatTheCodecWrites(seed: Int) throws {
    var g = SeededGenerator(UInt64(seed) &+ 85)
    for _ in 0..<60 {
      let layer = try Layer(&g)
      #expect(try layer.read(layer.streams) == layer.expected, "\(layer.layout) \(layer.hardware)")
    }
  }

  /// A stream in another order has values where padding belongs, or the wrong length.
  @Test func noticesAnotherOrder() throws {
    var g = SeededGenerator(4)
    var noticed = 0
    for _ in 0..<40 {
      let layer = try Layer(&g)
      var other = layer
      other.layout.isPartKernelFirst.toggle()
      other.layout.ofmDepth += 1
      if (try? other.read(layer.streams)) == nil { noticed += 1 }
    }
    #expect(noticed >= 20)
  }

  /// Damaged streams end in weights or an error.
  @Test(arguments: 0..<4)
  func damagedStreams(seed: Int) throws {
    var g = SeededGenerator(UInt64(seed) &+ 850)
    var errors = 0
    for _ in 0..<60 {
      let layer = try Layer(&g)
      for _ in 0..<10 {
        var streams = layer.streams
        let s = g.int(0...streams.count - 1)
        for _ in 0..<g.int(1...4) where !streams[s].isEmpty {
          streams[s][g.int(0...streams[s].count - 1)] = UInt8(g.int(0...255))
        }
        if g.flip() { streams[s].removeLast(g.int(0...streams[s].count)) }
        if (try? layer.read(streams)) == nil { errors += 1 }
      }
    }
    #expect(errors > 100)
  }
}
