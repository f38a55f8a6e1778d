import Testing

@testable import NPUSim

/// Random elementwise operations against loops over byte addresses.
@Suite struct ElementwiseTests {
  /// MUL, ADD, SUB, MIN, MAX, LRELU, ABS, CLZ, SHR, SHL.
  private static let modes = 0...9

  @Test(arguments: 0..<200)
  func equalsLoops(seed: Int) throws {
    var g = SeededGenerator(UInt64(seed) &+ 2000)
    let mode = seed % 10
    let isUnary = (5...7).contains(mode)
    let bytes = mode >= 7 ? 4 : [1, 2, 4][g.int(0...2)]
    let height = g.int(1...4)
    let width = g.int(1...6)
    let depth = g.int(1...(g.flip() ? 4 : 40))
    let isSigned = bytes == 4 || g.flip()
    let usesScalar = !isUnary && bytes < 4 && seed % 4 == 3
    let broadcast = isUnary || usesScalar ? 0 : g.int(0...7)
    let swaps = !isUnary && g.flip()
    let zero = { (g: inout SeededGenerator) in
      bytes == 4 ? 0 : isSigned ? g.int(-100...100) : g.int(0...200)
    }
    let ifm = TestTensor.dense(
      height, width, depth, bytes: bytes, isSigned: isSigned, isBricked: g.flip(), base: 0,
      zeroPoint: zero(&g))
    let ifm2 = TestTensor.dense(
      broadcast & 1 != 0 ? 1 : height, broadcast & 2 != 0 ? 1 : width,
      broadcast & 4 != 0 ? 1 : depth, bytes: bytes, isSigned: isSigned, isBricked: g.flip(),
      base: 0x4000, zeroPoint: zero(&g))
    let outBytes = mode >= 7 ? 4 : bytes == 4 ? 4 : [1, 2, 4][g.int(0...2)]
    let ofm = TestTensor.dense(
      height, width, depth, bytes: outBytes, isSigned: isSigned || outBytes == 4,
      isBricked: g.flip(), base: 0x8000, zeroPoint: outBytes == 4 ? 0 : g.int(0...90))
    let isGlobal = (mode <= 2 || mode == 5 || mode == 6) && g.flip()
    let rounding = [0, 2, 1][g.int(0...2)]
    let scaleMode = bytes == 4 || mode == 0 || mode > 2 ? 0 : g.int(0...2)
    let operandRounding = [0, 2][g.int(0...1)]
    let scaleA: (multiplier: UInt32, shift: Int) =
      scaleMode == 0
      ? (UInt32(g.int(1...65535)), 0)
      : (UInt32(g.int((1 << 30)...Int(Int32.max))), g.int(12...20))
    let scaleB = UInt32(g.int(1...65535))
    let output: (multiplier: UInt32, shift: Int) = (
      UInt32(g.int((1 << 30)...Int(Int32.max))), g.int(31...50)
    )
    let scalar = g.int(0...60)
    let low = outBytes == 1 ? (ofm.isSigned ? -120 : 2) : ofm.isSigned ? -30000 : 5
    let high = outBytes == 1 ? 121 : 31000

    var stream = StreamBuilder()
    stream.ifm(ifm, scaleMode: scaleMode, rounding: operandRounding)
    stream.ifm2(ifm2, broadcast: broadcast | (swaps ? 0x40 : 0), scalar: usesScalar ? scalar : nil)
    stream.ofm(ofm, isGlobal: isGlobal, rounding: rounding)
    stream.setScale(37, multiplier: scaleA.multiplier, shift: scaleA.shift)
    stream.setScale(38, multiplier: scaleB, shift: 0)
    stream.setScale(36, multiplier: output.multiplier, shift: output.shift)
    stream.activation(low: low, high: high)
    stream.set(6, mode)
    stream.stop()

    var memory = (0..<(1 << 16)).map { _ in UInt8.random(in: 0...255, using: &g) }
    if mode == 8 || mode == 9 {
      // Shift amounts.
      let amounts = swaps ? ifm : ifm2
      for y in 0..<amounts.height {
        for x in 0..<amounts.width {
          for c in 0..<amounts.depth { amounts.store(g.int(0...31), &memory, y, x, c) }
        }
      }
    }
    let bank = MemoryBank(name: "arena", bytes: memory)
    var map = MemoryMap()
    map.bind(region: 1, to: bank)
    let hardware = try #require(Hardware.u55(macs: 128))
    var machine = Machine(hardware: hardware, memory: map)
    let result = try machine.run(stream: stream.bytes)
    #expect(result.hazards == [])

    let before = memory
    for y in 0..<height {
      for x in 0..<width {
        for c in 0..<depth {
          let first = ifm.load(before, y, x, c) - ifm.zeroPoint
          let second =
            isUnary
            ? 0
            : (usesScalar
              ? scalar
              : ifm2.load(
                before, broadcast & 1 != 0 ? 0 : y, broadcast & 2 != 0 ? 0 : x,
                broadcast & 4 != 0 ? 0 : c)) - ifm2.zeroPoint
          var a = swaps ? second : first
          var b = swaps ? first : second
          if mode == 1 || mode == 2 {
            let headroom = bytes == 1 ? 20 : 15
            func scaled(_ v: Int) -> Int {
              NaiveArithmetic.scale(
                v, multiplier: scaleA.multiplier, shift: scaleA.shift, rounding: operandRounding,
                doubleRound: headroom)
            }
            switch scaleMode {
            case 0:
              a *= Int(scaleA.multiplier)
              b *= Int(scaleB)
            case 1:
              a = scaled(a)
              b <<= headroom - 1
            default:
              b = scaled(b)
              a <<= headroom - 1
            }
          }
          func scaledOut(_ v: Int) -> Int {
            guard isGlobal else { return v }
            return NaiveArithmetic.scale(
              v, multiplier: mode == 0 && bytes == 4 ? 1 : output.multiplier, shift: output.shift,
              rounding: rounding)
          }
          var value: Int
          switch mode {
          case 0: value = scaledOut(a &* b)
          case 1: value = scaledOut(a + b)
          case 2: value = scaledOut(a - b)
          case 3: value = min(a, b)
          case 4: value = max(a, b)
          case 5: value = a >= 0 ? a : scaledOut(a)
          case 6: value = scaledOut(abs(a))
          case 7: value = Int32(truncatingIfNeeded: a).leadingZeroBitCount
          case 8: value = NaiveArithmetic.scale(a, multiplier: 1, shift: b, rounding: rounding)
          default: value = Int(Int32(truncatingIfNeeded: a) << Int32(b))
          }
          value += ofm.zeroPoint
          if outBytes < 4 { value = min(max(value, low), high) }
          ofm.store(value, &memory, y, x, c)
        }
      }
    }
    #expect(bank.read(0..<memory.count) == memory)
  }
}
