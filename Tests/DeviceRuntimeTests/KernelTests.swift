import DeviceRuntime
import Testing

/// Every kernel but attention, run through the runtime, against the contract.
@Suite struct KernelTests {
  @Test(arguments: 0..<24) func embedding(_ seed: UInt64) {
    var source = ValueSource(seed: seed)
    let (n, d, vocabulary) = (source.below(1..<5), [1, 7, 64, 100][Int(seed % 4)], 9)
    let table: [Int8] = source.values(vocabulary * d)
    let multiplier: [Int32] = source.values(vocabulary)
    let shift = seed == 0 ? 0 : seed == 1 ? 62 : source.below(0..<63)
    let tokens = (0..<n).map { _ in Int32(source.below(0..<vocabulary)) }
    var machine = DeviceMachine()
    machine.vocabulary = vocabulary
    let tableRef = machine.put(table, in: DeviceMachine.params)
    let multiplierRef = machine.put(multiplier, in: DeviceMachine.params)
    let out = machine.reserve(n * d * 4, in: DeviceMachine.arena)
    let outcome = machine.run(
      step(
        SWL_KERNEL_EMBEDDING,
        [UInt32(n), UInt32(d), UInt32(vocabulary), tableRef, multiplierRef, UInt32(shift), out]),
      n: n, tokens: tokens)
    #expect(outcome.status == SWL_OK)
    let expected = tokens.flatMap { id in
      Contract.embedding(
        row: Array(table[Int(id) * d..<(Int(id) + 1) * d]), multiplier: multiplier[Int(id)],
        shift: shift)
    }
    #expect(machine.read(out, n * d) == expected)
  }

  private func checkNorm(
    _ x: [Int32], gamma: [Int32], n: Int, shift: Int, eps: UInt64, bits: Int
  ) {
    let d = gamma.count
    var machine = DeviceMachine()
    let xRef = machine.put(x, in: DeviceMachine.arena)
    let gammaRef = machine.put(gamma, in: DeviceMachine.params)
    let out = machine.reserve(n * d * bits / 8, in: DeviceMachine.arena)
    let outcome = machine.run(
      step(
        SWL_KERNEL_RMS_NORM,
        [
          UInt32(n), UInt32(d), xRef, gammaRef, UInt32(shift), UInt32(truncatingIfNeeded: eps),
          UInt32(eps >> 32), out, UInt32(bits),
        ]), n: n)
    #expect(outcome.status == SWL_OK)
    let expected = (0..<n).flatMap {
      Contract.rmsNorm(
        row: Array(x[$0 * d..<($0 + 1) * d]), gamma: gamma, shift: shift, eps: eps, bits: bits)
    }
    let got =
      bits == 8
      ? machine.read(out, n * d, as: Int8.self).map { Int($0) }
      : machine.read(out, n * d, as: Int16.self).map { Int($0) }
    #expect(got == expected)
  }

  @Test(arguments: 0..<60) func rmsNorm(_ seed: UInt64) {
    var source = ValueSource(seed: seed)
    let n = source.below(1..<4)
    let d = [1, 2, 5, 64, 288][Int(seed % 5)]
    // Rows of one magnitude, as real ones are, and rows of everything.
    let spread = source.below(0..<31)
    var x: [Int32] = source.values(n * d, extremes: seed % 3 == 0)
    if seed % 3 != 0 { x = x.map { $0 >> Int32(spread) } }
    let eps: UInt64 = [0, 1, 12345, 1 << 40, 1 << 62][source.below(0..<5)]
    checkNorm(
      x, gamma: source.values(d), n: n, shift: source.below(20..<63), eps: eps,
      bits: seed % 2 == 0 ? 16 : 8)
  }

  @Test func rmsNormExtremes() {
    for bits in [8, 16] {
      for x: Int32 in [0, 1, -1, .min, .max, -(1 << 24), (1 << 24) - 1, 1 << 24, -(1 << 25) + 1] {
        for d in [1, 3, 65536] {
          for eps: UInt64 in [0, 1 << 62] {
            checkNorm(
              [Int32](repeating: x, count: d), gamma: [Int32](repeating: .max, count: d), n: 1,
              shift: 40, eps: eps, bits: bits)
          }
        }
      }
      // One step in a wide row: the mean square is zero without eps.
      var lonely = [Int32](repeating: 0, count: 65536)
      for i in 0..<362 { lonely[i * 7] = 1 }
      lonely[9] = 362
      checkNorm(
        lonely, gamma: [Int32](repeating: .min, count: 65536), n: 1, shift: 38, eps: 0, bits: bits)
      checkNorm([7, -7], gamma: [0, .min], n: 1, shift: 0, eps: 0, bits: bits)
    }
  }

  @Test(arguments: 0..<24) func rope(_ seed: UInt64) {
    var source = ValueSource(seed: seed)
    let (n, heads, headDim) = (
      source.below(1..<5), source.below(1..<4), [2, 8, 64, 256][Int(seed % 4)]
    )
    let context = 12
    let position = source.below(0..<context - n)
    let x: [Int16] = source.values(n * heads * headDim)
    let table: [Int16] = source.values(context * headDim)
    var machine = DeviceMachine()
    machine.context = context
    let xRef = machine.put(x, in: DeviceMachine.arena)
    let tableRef = machine.put(table, in: DeviceMachine.params)
    let out = seed % 2 == 0 ? xRef : machine.reserve(x.count * 2, in: DeviceMachine.arena)
    let outcome = machine.run(
      step(
        SWL_KERNEL_ROPE,
        [
          UInt32(n), UInt32(heads), UInt32(headDim), UInt32(context), xRef, tableRef, out,
        ]), n: n, position: position)
    #expect(outcome.status == SWL_OK)
    var expected = [Int](repeating: 0, count: x.count)
    for t in 0..<n {
      for h in 0..<heads {
        for i in stride(from: 0, to: headDim, by: 2) {
          let at = (t * heads + h) * headDim + i
          let row = (position + t) * headDim + i
          (expected[at], expected[at + 1]) = Contract.rope(
            x[at], x[at + 1], cos: table[row], sin: table[row + 1])
        }
      }
    }
    #expect(machine.read(out, x.count, as: Int16.self).map { Int($0) } == expected)
  }

  @Test(arguments: 0..<24) func kvWrite(_ seed: UInt64) {
    var source = ValueSource(seed: seed)
    let (n, heads, headDim) = (
      source.below(1..<5), source.below(1..<4), [1, 8, 64, 256][Int(seed % 4)]
    )
    let context = 9
    let position = source.below(0..<context - n)
    let x: [Int16] = source.values(n * heads * headDim)
    let offset: [Int16] = source.values(heads * headDim)
    let multiplier = (0..<heads).map { _ in Int32(source.below(1..<1 << 31)) }
    let shift = (0..<heads).map { _ in Int32(source.below(0..<63)) }
    var machine = DeviceMachine()
    machine.context = context
    let xRef = machine.put(x, in: DeviceMachine.arena)
    let offsetRef = machine.put(offset, in: DeviceMachine.params)
    let multiplierRef = machine.put(multiplier, in: DeviceMachine.params)
    let shiftRef = machine.put(shift, in: DeviceMachine.params)
    let old: [Int8] = source.values(heads * context * headDim)
    let cache = machine.put(old, in: DeviceMachine.state)
    let outcome = machine.run(
      step(
        SWL_KERNEL_KV_WRITE,
        [
          UInt32(n), UInt32(heads), UInt32(headDim), UInt32(context), xRef, offsetRef,
          multiplierRef, shiftRef, cache,
        ]), n: n, position: position)
    #expect(outcome.status == SWL_OK)
    // Everything but the rows at the position stays as it was.
    var expected = old.map { Int($0) }
    for t in 0..<n {
      for h in 0..<heads {
        for i in 0..<headDim {
          expected[(h * context + position + t) * headDim + i] = Contract.kvWrite(
            x[(t * heads + h) * headDim + i], offset: offset[h * headDim + i],
            multiplier: multiplier[h], shift: shift[h])
        }
      }
    }
    #expect(machine.read(cache, old.count, as: Int8.self).map { Int($0) } == expected)
  }

  @Test(arguments: [false, true]) func lutEveryInput(_ inPlace: Bool) {
    var source = ValueSource(seed: 5)
    let table = (0..<512).map { _ in
      UInt32(UInt16(bitPattern: source.value())) | UInt32(UInt16(bitPattern: source.value())) << 16
    }
    let x = (-32768...32767).map { Int16($0) }
    var machine = DeviceMachine()
    let xRef = machine.put(x, in: DeviceMachine.arena)
    let tableRef = machine.put(table, in: DeviceMachine.params)
    let out = inPlace ? xRef : machine.reserve(x.count * 2, in: DeviceMachine.arena)
    let outcome = machine.run(
      step(SWL_KERNEL_LUT, [UInt32(x.count), xRef, tableRef, out]))
    #expect(outcome.status == SWL_OK)
    #expect(
      machine.read(out, x.count, as: Int16.self).map { Int($0) }
        == x.map { Contract.lut($0, table) })
  }

  @Test(arguments: 0..<48) func mul(_ seed: UInt64) {
    var source = ValueSource(seed: seed)
    let count = [1, 3, 64, 1000][Int(seed % 4)]
    let a: [Int16] = source.values(count)
    let b: [Int16] = source.values(count)
    let multiplier = seed == 0 ? UInt32(Int32.max) : UInt32(source.below(0..<1 << 31))
    let shift = seed == 0 ? 62 : seed == 1 ? 0 : source.below(20..<63)
    let bits = seed % 2 == 0 ? 16 : 8
    var machine = DeviceMachine()
    let aRef = machine.put(a, in: DeviceMachine.arena)
    let bRef = machine.put(b, in: DeviceMachine.arena)
    let fresh = machine.reserve(count * 2, in: DeviceMachine.arena)
    let out = [aRef, bRef, fresh][Int(seed % 3)]
    let outcome = machine.run(
      step(
        SWL_KERNEL_MUL,
        [UInt32(count), aRef, bRef, multiplier, UInt32(shift), out, UInt32(bits)]))
    #expect(outcome.status == SWL_OK)
    let expected = zip(a, b).map {
      Contract.mul($0, $1, multiplier: multiplier, shift: shift, bits: bits)
    }
    let got =
      bits == 8
      ? machine.read(out, count, as: Int8.self).map { Int($0) }
      : machine.read(out, count, as: Int16.self).map { Int($0) }
    #expect(got == expected)
  }

  @Test(arguments: 0..<12) func add(_ seed: UInt64) {
    var source = ValueSource(seed: seed)
    let count = [1, 5, 64, 999][Int(seed % 4)]
    let a: [Int32] = source.values(count)
    let b: [Int32] = source.values(count)
    var machine = DeviceMachine()
    let aRef = machine.put(a, in: DeviceMachine.arena)
    let bRef = machine.put(b, in: DeviceMachine.arena)
    let fresh = machine.reserve(count * 4, in: DeviceMachine.arena)
    let out = [aRef, bRef, fresh][Int(seed % 3)]
    #expect(machine.run(step(SWL_KERNEL_ADD, [UInt32(count), aRef, bRef, out])).status == SWL_OK)
    #expect(machine.read(out, count) == zip(a, b).map { $0 &+ $1 })
  }
}
