import EthosUISA
import Support
import Testing

@testable import NPUTiming

/// A configuration that must exist.
func accelerator(_ name: String) throws -> Accelerator {
  try #require(Accelerator.named(name))
}

/// A convolution on NHCWB16 maps in region 1, weights in region 0.
func convolution(
  height: Int = 16, width: Int = 16, input: Int = 32, output: Int = 32, taps: Int = 3,
  block: BlockShape = BlockShape(8, 8, 16), microblock: BlockShape = BlockShape(2, 2, 8)
) -> KernelDescription {
  var kernel = KernelDescription(
    kind: .convolution(partKernelFirst: false),
    ifm: FeatureMapTraffic(
      height: height, width: width, depth: input, bits: 8, isBricked: true, region: 1),
    ofm: FeatureMapTraffic(
      height: height, width: width, depth: output, bits: 8, isBricked: true, region: 1),
    block: block, microblock: microblock)
  kernel.kernelHeight = taps
  kernel.kernelWidth = taps
  kernel.padTop = taps / 2
  kernel.padLeft = taps / 2
  kernel.weightBytes = input * output * taps * taps
  kernel.weightRegion = 0
  kernel.scaleBytes = 10 * output
  kernel.scaleRegion = 0
  return kernel
}

/// An addition of two maps in region 1.
func addition(size: Int = 16, depth: Int = 32) -> KernelDescription {
  let map = FeatureMapTraffic(
    height: size, width: size, depth: depth, bits: 8, isBricked: true, region: 1)
  return KernelDescription(
    kind: .elementwise(.addOrSubtract), ifm: map, ifm2: map, ofm: map,
    block: BlockShape(8, 8, 16), microblock: BlockShape(2, 2, 8))
}

/// A slow memory for constants and a fast one for everything else.
func memories(
  interval: Int = 1024, latency: Int = 64, outstanding: Int = 4, fastInterval: Int = 256
) -> MemorySystem {
  MemorySystem(
    memories: [
      MemoryTiming(
        name: "slow", beatBytes: 8, beatInterval: interval, readLatency: latency,
        writeLatency: latency, maximumReads: outstanding, maximumWrites: outstanding),
      MemoryTiming(
        name: "fast", beatBytes: 8, beatInterval: fastInterval, readLatency: 8, writeLatency: 8,
        maximumReads: 8, maximumWrites: 8),
    ], regions: [0, 1, 1], streamMemory: 0)
}

/// A job of random kernels, transfers and waits that a real stream could hold.
func randomJob(_ random: inout SplitMix64, count: Int) -> [IssueEvent] {
  var events: [IssueEvent] = []
  for _ in 0..<count {
    events.append(.commands(words: Int.random(in: 1...80, using: &random)))
    switch random.next() % 6 {
    case 0: events.append(.kernel(addition(size: Int.random(in: 1...20, using: &random))))
    case 1:
      events.append(
        .transfer(bytes: Int.random(in: 16...4000, using: &random), source: 0, destination: 1))
    case 2: events.append(.transferWait(Int(random.next() % 2)))
    case 3: events.append(.kernelWait(Int(random.next() % 2)))
    default:
      var kernel = convolution(
        height: Int.random(in: 1...20, using: &random),
        width: Int.random(in: 1...20, using: &random),
        input: Int.random(in: 1...80, using: &random),
        output: Int.random(in: 1...80, using: &random), taps: random.next() % 2 == 0 ? 1 : 3)
      kernel.blockDependency = Int(random.next() % 4)
      kernel.bufferLayout = Int(random.next() % 2)
      if random.next() % 3 == 0 { kernel.kind = .convolution(partKernelFirst: true) }
      events.append(.kernel(kernel))
    }
  }
  return events
}
