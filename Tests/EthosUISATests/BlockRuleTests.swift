import EthosUISA
import TestKit
import Testing

@Suite("Block rules")
struct BlockRuleTests {
  @Test("buffer registers of U55 and U65 streams are reproduced", .enabled(if: Sample.exist))
  func sharedRAM() throws {
    var checked = 0
    for stream in EmittedStream.all where stream.accelerator.product != .u85 {
      let rules = BlockRules(stream.accelerator)
      try stream.forEachKernel { command, registers, operation, block in
        let place = "\(stream.name) byte \(command.byteOffset) \(command.opcode) \(block)"
        let layout = try #require(
          rules.sharedRAMLayout(operation, block: block), "\(place) \(operation)")
        #expect(registers.value(.setIFMIBEnd, .ibEnd) == layout.ifmEnd, "\(place)")
        #expect(registers.value(.setABStart, .abStart) == layout.accumulatorStart, "\(place)")
        if let start = layout.ifm2Start {
          #expect(registers.value(.setIFM2IBStart, .ibStart) == start, "\(place)")
        }
        checked += 1
      }
    }
    #expect(checked > 100)
    print("kernel operations whose buffers were reproduced: \(checked)")
  }

  @Test("blocks of U85 streams are legal", .enabled(if: Sample.exist))
  func localRAMs() throws {
    var checked = 0
    for stream in EmittedStream.all where stream.accelerator.product == .u85 {
      let rules = BlockRules(stream.accelerator)
      try stream.forEachKernel { command, registers, operation, block in
        let code = try #require(
          registers.value(.setAccFormat, .microblock, as: ISA.Microblock.self))
        let unit = try #require(rules.microblock(code))
        let place = "\(stream.name) byte \(command.byteOffset) \(command.opcode) \(block) \(unit)"
        let isLegal = rules.isLegal(operation, block: block, microblock: unit)
        #expect(isLegal, "\(place)")
        checked += 1
      }
    }
    #expect(checked > 20)
    print("kernel operations whose blocks are legal: \(checked)")
  }

  @Test("the traversal of convolutions is the one Vela chooses", .enabled(if: Sample.exist))
  func traversal() throws {
    var checked = 0
    var different = 0
    for stream in EmittedStream.all {
      let rules = BlockRules(stream.accelerator)
      try stream.forEachKernel { command, _, operation, _ in
        // One by one kernels may be fully connected layers, which follow another rule.
        guard operation.kind == .convolution, operation.kernel != (1, 1) else { return }
        checked += 1
        if rules.prefersPartKernelFirst(operation) != operation.partKernelFirst { different += 1 }
      }
    }
    print("traversals: \(checked) checked, \(different) different")
    #expect(checked > 0)
    #expect(different == 0)
  }

  @Test("chosen blocks are legal and no dearer than Vela's", .enabled(if: Sample.exist))
  func choice() throws {
    var seen: Set<KernelOperation> = []
    for stream in EmittedStream.all where !stream.name.hasPrefix("mobilenet") {
      let rules = BlockRules(stream.accelerator)
      try stream.forEachKernel { command, registers, operation, block in
        guard seen.insert(operation).inserted, seen.count < 150 else { return }
        let choice = try #require(rules.choose(operation), "\(stream.name) \(operation)")
        #expect(
          rules.isLegal(operation, block: choice.block, microblock: choice.microblock))
        guard stream.accelerator.product != .u85 else { return }
        let velas = rules.cost(operation, block: block)
        #expect(
          choice.cost <= velas + 1e-9, "\(stream.name) \(operation) \(block) \(choice)")
      }
    }
  }

  @Test("a worked example: an 8-bit 10 by 4 convolution on U55-128")
  func example() throws {
    var operation = KernelOperation(
      .convolution, ifm: BlockShape(49, 10, 1), ofm: BlockShape(25, 5, 16))
    operation.kernel = (10, 4)
    operation.stride = (2, 2)
    operation.partKernelFirst = true
    let rules = BlockRules(try #require(Accelerator.named("ethos-u55-128")))
    let layout = try #require(
      rules.sharedRAMLayout(operation, block: BlockShape(10, 6, 16)))
    #expect(layout.ifmBlock == BlockShape(26, 14, 8))
    #expect(layout.ifmEnd == 10)
    #expect(layout.accumulatorStart == 14)
    #expect(rules.prefersPartKernelFirst(operation))
  }

  @Test("blocks that break a rule are refused")
  func illegal() throws {
    let rules = BlockRules(try #require(Accelerator.named("ethos-u55-128")))
    let operation = KernelOperation(
      .convolution, ifm: BlockShape(64, 64, 64), ofm: BlockShape(64, 64, 256))
    for block in [
      BlockShape(1, 1, 16), BlockShape(1, 2, 24), BlockShape(33, 2, 16), BlockShape(1, 66, 16),
      BlockShape(1, 2, 136), BlockShape(32, 64, 128), BlockShape(0, 2, 16), BlockShape(1, 2, 4),
    ] {
      #expect(!rules.isLegal(operation, block: block), "\(block)")
    }
    #expect(rules.isLegal(operation, block: BlockShape(1, 2, 16)))
  }

  @Test("every configuration has a block for every plain operation", arguments: Accelerator.all)
  func somethingFits(_ accelerator: Accelerator) throws {
    let rules = BlockRules(accelerator)
    let kinds: [KernelOperation.Kind] = [
      .convolution, .depthwise, .pooling, .reduceSum, .elementwise,
    ]
    for kind in kinds {
      for bits in [8, 16] {
        for size in [1, 7, 40] {
          let depth = kind == .reduceSum ? 1 : size * 3
          var operation = KernelOperation(
            kind, ifm: BlockShape(size, size, size * 3), ofm: BlockShape(size, size, depth))
          operation.ifmBits = bits
          operation.accumulatorBits = rules.accumulatorBits(kind, ifmBits: bits, isScaled: true)
          #expect(rules.choose(operation) != nil, "\(kind) \(bits) \(size)")
        }
      }
    }
  }
}
