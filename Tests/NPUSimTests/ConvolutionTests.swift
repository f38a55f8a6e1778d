import Testing

@testable import NPUSim

/// Random convolutions and depthwise convolutions against six nested loops.
@Suite struct ConvolutionTests {
  private static let arena = 1 << 16

  @Test(arguments: 0..<160)
  func equalsNestedLoops(seed: Int) throws {
    var g = SeededGenerator(UInt64(seed))
    let depthwise = seed % 3 == 2
    let isDual = seed % 8 == 7
    let hardware = try #require(
      isDual
        ? Hardware.u65(macs: 512)
        : [Hardware.u55(macs: 32), .u55(macs: 128), .u65(macs: 256)][seed % 3])
    let bytes = g.flip() ? 1 : 2
    let kh = g.int(1...(seed % 10 == 9 ? 10 : 3))
    let kw = g.int(1...3)
    let sy = g.int(1...3)
    let sx = g.int(1...3)
    let dy = g.int(1...2)
    let dx = g.int(1...2)
    let oh = g.int(1...4)
    let ow = g.int(1...5)
    let ic = g.int(1...(g.flip() ? 5 : 40))
    let oc = depthwise ? ic : g.int(1...35)
    let upscale = seed % 11 == 10 ? g.int(1...2) : 0
    // Pads must leave something of the input.
    let height = (oh - 1) * sy + (kh - 1) * dy + 1
    let width = (ow - 1) * sx + (kw - 1) * dx + 1
    let pads = [
      g.int(0...min(3, (height - 1) / 2)), g.int(0...min(3, (width - 1) / 2)),
      g.int(0...min(3, (height - 1) / 2)), g.int(0...min(3, (width - 1) / 2)),
    ]
    let inner = (height - pads[0] - pads[2], width - pads[1] - pads[3])
    let stored = upscale == 0 ? inner : ((inner.0 + 1) / 2, (inner.1 + 1) / 2)
    let isSigned = g.flip()
    var ifm = TestTensor.dense(
      stored.0, stored.1, ic, bytes: bytes, isSigned: bytes == 2 || isSigned, isBricked: g.flip(),
      base: 0, zeroPoint: bytes == 2 ? 0 : isSigned ? g.int(-128...127) : g.int(0...255))
    if stored.0 > 1, g.flip() {
      // A rolling buffer: the rows from `height0` on live in front of the others.
      ifm.height0 = g.int(1...stored.0 - 1)
      ifm.height1 = ifm.height0
      ifm.bases = [(stored.0 - ifm.height0) * ifm.strideY, 0, 0, 0]
    }
    let outBytes = [1, 2, 4][g.int(0...2)]
    var ofm = TestTensor.dense(
      oh, ow, oc, bytes: outBytes, isSigned: g.flip(), isBricked: g.flip(), base: 0x8000,
      zeroPoint: g.int(0...100))
    if ow > 1, g.flip() {
      ofm.width0 = g.int(1...ow - 1)
      ofm.height1 = g.int(1...oh)
      ofm.bases = [0x8000, 0xA000, 0, 0xC000]
    }
    let weights = TestWeights.random(
      oc, kh, kw, depthwise ? 1 : ic, range: seed % 4 == 0 ? -255...255 : -127...127, &g)
    let partKernel = !depthwise && g.flip()
    let block = [8, 16, 32][g.int(0...2)]
    let isGlobal = seed % 7 == 6
    let rounding = [0, 2, 1][g.int(0...2)]

    // Read-only region: weight and scale streams of each core.
    var constants: [UInt8] = []
    var stream = StreamBuilder()
    let shiftBase = outBytes == 1 ? 40 : outBytes == 2 ? 34 : 30
    let records = (0..<oc).map { _ in
      (
        bias: g.int(-100_000...100_000),
        multiplier: UInt32(g.int((1 << 30)...Int(Int32.max))),
        shift: g.int(shiftBase...shiftBase + 6)
      )
    }
    let cores = isDual ? 2 : 1
    for core in 0..<cores {
      let encoded = weights.stream(
        depthwise: depthwise, partKernel: partKernel, ifmBits: bytes * 8, block: block,
        dilationY: dy, dilationX: dx, unit: hardware.macs == 32 ? 4 : 8, core: core, cores: cores)
      let isEmpty = core >= oc
      stream.setWide(core == 0 ? 32 : 144, constants.count)
      stream.setWide(core == 0 ? 33 : 145, isEmpty ? 0 : encoded.count)
      if !isEmpty { constants += encoded }
      let scales = padded16(
        Swift.stride(from: core, to: oc, by: cores).flatMap {
          scaleRecord(
            bias: records[$0].bias, multiplier: records[$0].multiplier, shift: records[$0].shift)
        })
      stream.setWide(core == 0 ? 34 : 146, constants.count)
      stream.setWide(core == 0 ? 35 : 147, scales.count)
      constants += scales
    }
    if hardware.product == .u65 { stream.set(291, isDual ? 1 : 0) }
    stream.set(296, 0)
    stream.set(297, 0)
    stream.ifm(ifm)
    stream.ofm(ofm, isGlobal: isGlobal, rounding: rounding)
    stream.set(279, block - 1)
    stream.kernel(
      kh, kw, strideY: sy, strideX: sx, dilationY: dy, dilationX: dx, pads: pads,
      upscale: upscale, partKernel: partKernel)
    let low = outBytes == 1 ? (ofm.isSigned ? -100 : 7) : ofm.isSigned ? -30000 : 12
    let high = outBytes == 1 ? 120 : 32000
    stream.activation(low: low, high: high)
    let global = (multiplier: UInt32(1_500_000_000), shift: shiftBase + 3)
    if isGlobal { stream.setScale(36, multiplier: global.multiplier, shift: global.shift) }
    stream.set(depthwise ? 3 : 2, 0)
    stream.stop()

    var memory = (0..<Self.arena).map { _ in UInt8.random(in: 0...255, using: &g) }
    let bank = MemoryBank(name: "arena", bytes: memory)
    var map = MemoryMap()
    map.bind(region: 0, to: MemoryBank(name: "constants", constant: constants))
    map.bind(region: 1, to: bank)
    var machine = Machine(hardware: hardware, memory: map)
    let result = try machine.run(stream: stream.bytes)
    #expect(result.hazards == [])

    let before = memory
    for y in 0..<oh {
      for x in 0..<ow {
        for o in 0..<oc {
          var sum = records[o].bias
          for ky in 0..<kh {
            for kx in 0..<kw {
              let iy = y * sy + ky * dy - pads[0]
              let ix = x * sx + kx * dx - pads[1]
              guard iy >= 0, ix >= 0, iy < inner.0, ix < inner.1 else { continue }
              if upscale == 2 && (iy % 2 != 0 || ix % 2 != 0) { continue }
              let (ty, tx) = upscale == 0 ? (iy, ix) : (iy / 2, ix / 2)
              for i in 0..<(depthwise ? 1 : ic) {
                let value = ifm.load(before, ty, tx, depthwise ? o : i) - ifm.zeroPoint
                sum += value * weights[o, ky, kx, i]
              }
            }
          }
          var value = NaiveArithmetic.scale(
            sum, multiplier: isGlobal ? global.multiplier : records[o].multiplier,
            shift: isGlobal ? global.shift : records[o].shift, rounding: rounding)
          value += ofm.zeroPoint
          if outBytes < 4 { value = min(max(value, low), high) }
          ofm.store(value, &memory, y, x, o)
        }
      }
    }
    #expect(bank.read(0..<Self.arena) == memory)
  }
}
