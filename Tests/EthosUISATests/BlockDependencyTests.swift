import EthosUISA
import TestKit
import Testing

@Suite("Block dependencies")
struct BlockDependencyTests {
  @Test("BLOCKDEP of emitted streams is reproduced", .enabled(if: Sample.exist))
  func emitted() throws {
    var equal = 0
    var different = 0
    var longer = 0
    for stream in EmittedStream.all {
      let rules = BlockRules(stream.accelerator)
      var previous: KernelFootprint?
      try stream.forEachKernel { command, registers, _, _ in
        guard let next = KernelFootprint(command, registers: registers, rules: rules),
          let written = registers.value(.setBlockdep, .blockdep)
        else { return }
        let value = BlockDependency.value(previous: previous, next: next, on: stream.accelerator)
        // Vela compares tensors where a stream shows byte ranges: either may wait more than the
        // other. A longer overlap than Vela's with bytes in common is next to never right.
        if value > written, let output = previous?.output,
          next.inputs.contains(where: { $0.overlaps(output) })
        {
          longer += 1
        }
        if value == written { equal += 1 } else { different += 1 }
        previous = next
      }
    }
    print("block dependencies: \(equal) equal, \(different) different, \(longer) longer")
    #expect(longer * 5000 < equal)
    #expect(equal > 10 * different)
  }

  /// A 1x1 convolution over an 8x8 map of 16 channels in blocks of 2x8x16.
  private func footprint(_ base: Int, _ outputBase: Int) -> KernelFootprint {
    let shape = BlockShape(8, 8, 16)
    let operation = KernelOperation(.convolution, ifm: shape, ofm: shape)
    return KernelFootprint(
      operation: operation, block: BlockShape(2, 8, 16), ifmBlockDepth: 16,
      inputs: [
        FeatureMapPlace(region: 1, base: base, bytes: base..<base + 1024, shape: shape)
      ],
      output: FeatureMapPlace(
        region: 1, base: outputBase, bytes: outputBase..<outputBase + 1024, shape: shape))
  }

  @Test("the rule's cases, one by one")
  func cases() throws {
    let part = try #require(Accelerator.named("ethos-u55-128"))
    func value(_ previous: KernelFootprint?, _ next: KernelFootprint) -> Int {
      BlockDependency.value(previous: previous, next: next, on: part)
    }
    #expect(value(nil, footprint(0, 1024)) == 0)
    // Four blocks each: the first input block is the last output block only after three more.
    #expect(value(footprint(0, 1024), footprint(1024, 4096)) == 3)
    #expect(value(footprint(0, 1024), footprint(2048, 4096)) == 3)
    #expect(value(footprint(0, 1024), footprint(1536, 4096)) == 0)
    var tall = footprint(1024, 4096)
    tall.operation.kernel = (3, 3)
    #expect(value(footprint(0, 1024), tall) == 1)
    var reshaped = footprint(1024, 4096)
    reshaped.inputs[0].shape = BlockShape(4, 16, 16)
    #expect(value(footprint(0, 1024), reshaped) == 0)
    // A slice of sixteen of the 32 channels that the next kernel reads, known by its layout.
    let layout = FeatureMapPlace.Layout(
      strides: BlockShape(256, 16, 128), isBlocked: true, elementBytes: 1)
    var slice = footprint(0, 1152)
    slice.output?.layout = layout
    slice.output?.bytes = 1152..<3072
    var whole = footprint(1024, 4096)
    whole.operation.ifm.depth = 32
    whole.inputs = [
      FeatureMapPlace(
        region: 1, base: 1024, bytes: 1024..<3072, shape: BlockShape(8, 8, 32), layout: layout)
    ]
    #expect(value(slice, whole) == 3)
    whole.ifmBlockDepth = 32
    whole.operation.kernel = (5, 1)
    #expect(value(slice, whole) == 1)
    whole.inputs[0].layout = nil
    #expect(value(slice, whole) == 0)
    var chained = footprint(1024, 4096)
    chained.isChained = true
    #expect(value(footprint(0, 2048), chained) == 0)
    let small = try #require(Accelerator.named("ethos-u55-32"))
    var table = footprint(0, 1024)
    table.operation.usesTable = true
    #expect(BlockDependency.value(previous: table, next: footprint(4096, 8192), on: small) == 0)
    #expect(value(table, footprint(4096, 8192)) == 3)
  }
}
