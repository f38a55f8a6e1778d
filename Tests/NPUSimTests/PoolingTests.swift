import Testing

@testable import NPUSim

/// Random pooling operations against nested loops over byte addresses.
@Suite struct PoolingTests {
  @Test(arguments: 0..<120)
  func equalsNestedLoops(seed: Int) throws {
    var g = SeededGenerator(UInt64(seed) &+ 1000)
    let mode = seed % 3
    let bytes = mode == 2 ? [1, 2, 4][g.int(0...2)] : g.int(1...2)
    let kh = g.int(1...4)
    let kw = g.int(1...4)
    let sy = g.int(1...3)
    let sx = g.int(1...3)
    let oh = g.int(1...5)
    let ow = g.int(1...5)
    let ic = g.int(1...(g.flip() ? 3 : 40))
    let height = (oh - 1) * sy + kh
    let width = (ow - 1) * sx + kw
    let isPadded = g.flip()
    let pads =
      isPadded
      ? [
        g.int(0...(height - 1) / 2), g.int(0...(width - 1) / 2), g.int(0...(height - 1) / 2),
        g.int(0...(width - 1) / 2),
      ] : [0, 0, 0, 0]
    // A maximum over padding alone has no defined value, so windows must reach the input.
    guard mode != 0 || pads[0] < kh && pads[1] < kw && pads[2] < kh && pads[3] < kw else { return }
    let inner = (height - pads[0] - pads[2], width - pads[1] - pads[3])
    let isSigned = bytes == 4 || g.flip()
    let ifm = TestTensor.dense(
      inner.0, inner.1, ic, bytes: bytes, isSigned: isSigned, isBricked: g.flip(), base: 0,
      zeroPoint: bytes == 4 ? 0 : isSigned ? g.int(-128...127) : g.int(0...255))
    let outBytes = mode == 2 ? [1, 2, 4][g.int(0...2)] : bytes
    let ofm = TestTensor.dense(
      oh, ow, mode == 2 ? 1 : ic, bytes: outBytes, isSigned: isSigned, isBricked: g.flip(),
      base: 0xC000, zeroPoint: g.int(0...100))
    let isUnscaled = mode == 0 || g.flip()
    let multiplier: UInt32 = isUnscaled ? 1 : UInt32(g.int((1 << 30)...Int(UInt32.max)))
    let shift = isUnscaled ? 0 : g.int(31...36)
    let rounding = [0, 2][g.int(0...1)]
    let low = isSigned ? -100 : 3
    let high = outBytes == 1 ? 110 : 20000

    var stream = StreamBuilder()
    stream.ifm(ifm)
    stream.ofm(ofm, isGlobal: true, rounding: rounding)
    stream.kernel(kh, kw, strideY: sy, strideX: sx, pads: pads)
    stream.activation(low: low, high: high)
    stream.setScale(36, multiplier: multiplier, shift: shift)
    stream.set(5, mode)
    stream.stop()

    var memory = (0..<(1 << 17)).map { _ in UInt8.random(in: 0...255, using: &g) }
    let bank = MemoryBank(name: "arena", bytes: memory)
    var map = MemoryMap()
    map.bind(region: 1, to: bank)
    let hardware = try #require(Hardware.u55(macs: 128))
    var machine = Machine(hardware: hardware, memory: map)
    let result = try machine.run(stream: stream.bytes)
    #expect(result.hazards == [])

    let before = memory
    for y in 0..<oh {
      for x in 0..<ow {
        for c in 0..<ofm.depth {
          var values: [Int] = []
          for ky in 0..<kh {
            for kx in 0..<kw {
              let iy = y * sy + ky - pads[0]
              let ix = x * sx + kx - pads[1]
              guard iy >= 0, ix >= 0, iy < inner.0, ix < inner.1 else { continue }
              for i in mode == 2 ? 0..<ic : c..<c + 1 {
                values.append(ifm.load(before, iy, ix, i) - ifm.zeroPoint)
              }
            }
          }
          var value = mode == 0 ? values.max() ?? 0 : values.reduce(0, +)
          if mode == 1 && pads != [0, 0, 0, 0] {
            value = NaiveArithmetic.divideHalfAway(value, max(1, values.count))
          }
          value = NaiveArithmetic.scale(
            value, multiplier: multiplier, shift: shift, rounding: rounding)
          value += ofm.zeroPoint
          if outBytes < 4 { value = min(max(value, low), high) }
          ofm.store(value, &memory, y, x, c)
        }
      }
    }
    #expect(bank.read(0..<memory.count) == memory)
  }
}
