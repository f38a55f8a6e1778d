import EthosUISA
import Support
import Testing

@testable import NPUTiming

/// The configurations whose formulas the model holds so far.
private let u55 = Accelerator.all.filter { $0.product == .u55 }

/// A plain 8-bit operation that the tests change in one place each.
func kernel(
  _ kind: KernelDescription.Kind = .convolution(partKernelFirst: false),
  ofm: (Int, Int, Int) = (8, 16, 32), block: (Int, Int, Int) = (8, 16, 32), ifmDepth: Int = 32,
  bits: Int = 8, taps: (Int, Int) = (1, 1), table: Bool = false, stream: Int = 0
) -> KernelDescription {
  KernelDescription(
    kind: kind, ofm: ofm, block: block, ifmDepth: ifmDepth, ifmBits: bits, ofmBits: bits,
    kernelHeight: taps.0, kernelWidth: taps.1, strideY: 1, strideX: 1, usesTable: table,
    streamBytes: stream, ifm2Bytes: 0, ifmRegion: 1, ofmRegion: 1, streamRegion: 0)
}

/// A memory with the given rate in both directions.
func memory(_ rate: Double, latency: Int = 0) -> MemoryTraits {
  MemoryTraits(
    readBytesPerCycle: rate, writeBytesPerCycle: rate, readLatency: latency, writeLatency: latency)
}

/// Timing specification, section 2, "Consistency": with many micro-blocks a depth-first convolution
/// keeps every multiplier busy.
@Test(arguments: u55)
func depthFirstConvolutionReachesThePeak(_ accelerator: Accelerator) {
  let cost = KernelCostModel(accelerator).cost(kernel(), memories: [])
  #expect(cost.mac * accelerator.macs == 8 * 16 * 32 * 32)
}

/// Section 1, "Data-type rates": depthwise runs at an eighth of the peak, taps in fours.
@Test func depthwiseRunsAtAnEighth() throws {
  let accelerator = try #require(Accelerator.named("ethos-u55-256"))
  let model = KernelCostModel(accelerator)
  let four = model.cost(kernel(.depthwise, taps: (2, 2)), memories: [])
  #expect(four.mac * 256 / 8 == 8 * 16 * 32 * 4)
  let nine = model.cost(kernel(.depthwise, taps: (3, 3)), memories: [])
  #expect(nine.mac == 3 * four.mac)
}

/// One row on the U55-256: 2 channel steps × 8 micro-block columns × the weight floor of 32 cycles,
/// and a bubble of 2 cycles between steps for every column (section 2).
@Test func oneRowIsHeldByTheWeightFloor() throws {
  let accelerator = try #require(Accelerator.named("ethos-u55-256"))
  let row = kernel(ofm: (1, 1, 64), block: (1, 1, 64), ifmDepth: 64)
  let cost = KernelCostModel(accelerator).cost(row, memories: [])
  #expect(cost.mac == 2 * 8 * 32 + 2 * (2 - 1) * 8)
}

/// A 3×3 kernel, part-kernel first, takes ceil(9/4) = 3 steps for every 8 channels (section 2).
@Test func partKernelStepsAreFourTaps() throws {
  let accelerator = try #require(Accelerator.named("ethos-u55-128"))
  let cost = KernelCostModel(accelerator).cost(
    kernel(.convolution(partKernelFirst: true), ifmDepth: 8, taps: (3, 3)), memories: [])
  #expect(cost.mac == 4 * (8 * 8) * 3 * 4)
}

/// Section 4's table for 8 bits: cycles of a thousand elements by add, multiply and max pool. Max
/// pool is held by the activation's rate there.
@Test(arguments: [
  ("ethos-u55-32", 6000, 3000, 1000), ("ethos-u55-64", 3000, 1500, 1000),
  ("ethos-u55-128", 1500, 750, 500), ("ethos-u55-256", 750, 375, 250),
])
func outputUnitRates(_ name: String, _ add: Int, _ multiply: Int, _ maxPool: Int) throws {
  let model = KernelCostModel(try #require(Accelerator.named(name)))
  func cycles(_ kind: KernelDescription.Kind) -> Int {
    model.cost(kernel(kind, ofm: (10, 10, 10), block: (10, 10, 16)), memories: []).output
  }
  #expect(cycles(.elementwise(binary: true, multiply: false, addOrSubtract: true)) == add)
  #expect(cycles(.elementwise(binary: true, multiply: true, addOrSubtract: false)) == multiply)
  #expect(cycles(.pooling(reduceSum: false, max: true)) == maxPool)
}

@Test func weightFetchIsBytesOverRateAfterTheLatency() throws {
  let accelerator = try #require(Accelerator.named("ethos-u55-256"))
  let model = KernelCostModel(accelerator)
  let slow = [memory(2, latency: 60), memory(8)]
  let cost = model.cost(
    kernel(ofm: (1, 1, 32), block: (1, 1, 32), stream: 40_000), memories: slow)
  #expect(cost.weights == 20_060)
  #expect(cost.limiter == .weights && cost.total == 20_060)
  // Weights are read again for every block in the plane (section 3).
  let again = model.cost(
    kernel(ofm: (2, 2, 32), block: (1, 1, 32), stream: 40_000), memories: slow)
  #expect(again.weights == 80_060)
}

/// Slower memory, more channels or wider elements never make an operation faster.
@Test func costIsMonotonic() {
  var random = SplitMix64(seed: 11)
  for _ in 0..<200 {
    let ofm = (
      Int.random(in: 1...20, using: &random), Int.random(in: 1...20, using: &random),
      8 * Int.random(in: 1...16, using: &random)
    )
    let kinds: [KernelDescription.Kind] = [
      .convolution(partKernelFirst: false), .convolution(partKernelFirst: true), .depthwise,
      .pooling(reduceSum: false, max: true),
      .elementwise(binary: true, multiply: true, addOrSubtract: false),
    ]
    let kind = kinds[Int.random(in: 0...4, using: &random)]
    let depth = 8 * Int.random(in: 1...12, using: &random)
    let taps = (Int.random(in: 1...3, using: &random), Int.random(in: 1...3, using: &random))
    let rate = Double(Int.random(in: 1...16, using: &random))
    let latency = Int.random(in: 0...200, using: &random)
    func make(_ bits: Int, _ depth: Int) -> KernelDescription {
      kernel(
        kind, ofm: ofm, block: (4, 4, 16), ifmDepth: depth, bits: bits, taps: taps, stream: 5000)
    }
    let usual = [memory(rate, latency: latency), memory(8)]
    for accelerator in u55 {
      let model = KernelCostModel(accelerator)
      let base = model.cost(make(8, depth), memories: usual)
      let half = model.cost(
        make(8, depth), memories: [memory(rate / 2, latency: latency), memory(4)])
      let late = model.cost(
        make(8, depth), memories: [memory(rate, latency: latency + 50), memory(8, latency: 50)])
      #expect(half.total >= base.total)
      #expect(late.total >= base.total)
      #expect(model.cost(make(8, depth + 32), memories: usual).total >= base.total)
      #expect(model.cost(make(16, depth), memories: usual).total >= base.total)
    }
  }
}
