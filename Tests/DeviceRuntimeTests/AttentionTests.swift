import DeviceRuntime
import Testing

/// Attention against the contract, from one position to the longest context.
@Suite struct AttentionTests {
  /// One attention step with its operands.
  private struct Case {
    var (n, heads, kvHeads, headDim) = (1, 2, 1, 8)
    var (context, position, bits) = (8, 0, 16)
    var q: [Int16] = []
    var k: [Int8] = []
    var v: [Int8] = []
    /// Bytes of a cache row beyond the head's channels.
    var padding = 0
    var score: (Int32, Int) = (1, 0)
    var out: (Int32, Int) = (1, 0)

    func run() -> [Int]? {
      var machine = DeviceMachine()
      machine.context = context
      let qRef = machine.put(q, in: DeviceMachine.arena)
      let kRef = machine.put(padded(k), in: DeviceMachine.state)
      let vRef = machine.put(padded(v), in: DeviceMachine.state)
      let powers = machine.put(Contract.powers, in: DeviceMachine.params)
      let reciprocals = machine.put(Contract.reciprocals, in: DeviceMachine.params)
      let scratch = machine.reserve(context * 4, in: DeviceMachine.arena)
      let result = machine.reserve(q.count * bits / 8, in: DeviceMachine.arena)
      let sizes = [n, heads, kvHeads, headDim, headDim + padding, context].map { UInt32($0) }
      let outcome = machine.run(
        step(
          SWL_KERNEL_ATTENTION,
          sizes + [
            qRef, kRef, vRef, UInt32(bitPattern: score.0), UInt32(score.1), powers, reciprocals,
            UInt32(bitPattern: out.0), UInt32(out.1), scratch, result, UInt32(bits),
          ]),
        n: n, position: position)
      guard outcome.status == SWL_OK else { return nil }
      return bits == 8
        ? machine.read(result, q.count, as: Int8.self).map { Int($0) }
        : machine.read(result, q.count, as: Int16.self).map { Int($0) }
    }

    /// A cache with its rows padded.
    private func padded(_ cache: [Int8]) -> [Int8] {
      stride(from: 0, to: cache.count, by: headDim).flatMap {
        cache[$0..<$0 + headDim] + [Int8](repeating: 77, count: padding)
      }
    }

    func expected() -> [Int] {
      (0..<n * heads).flatMap { unit -> [Int] in
        let (t, h) = (unit / heads, unit % heads)
        let g = h / (heads / kvHeads)
        func rows(_ cache: [Int8]) -> [[Int8]] {
          (0...position + t).map {
            let at = (g * context + $0) * headDim
            return Array(cache[at..<at + headDim])
          }
        }
        return Contract.attention(
          q: Array(q[unit * headDim..<(unit + 1) * headDim]), k: rows(k), v: rows(v),
          score: score, out: out, bits: bits)
      }
    }
  }

  @Test(arguments: 0..<40) func randomCases(_ seed: UInt64) {
    var source = ValueSource(seed: seed)
    var c = Case()
    c.kvHeads = source.below(1..<4)
    c.heads = c.kvHeads * source.below(1..<4)
    c.headDim = [1, 6, 8, 32, 48, 256][Int(seed % 6)]
    c.n = source.below(1..<4)
    c.context = source.below(c.n + 1..<40)
    c.position = source.below(0..<c.context - c.n)
    c.bits = seed % 2 == 0 ? 16 : 8
    c.q = source.values(c.n * c.heads * c.headDim, extremes: seed % 4 == 0)
    c.k = source.values(c.kvHeads * c.context * c.headDim, floor: -127)
    c.v = source.values(c.kvHeads * c.context * c.headDim, floor: -127)
    // Factors that put the weights all over the exponential, and the results around the limits.
    c.score = (Int32(source.below(1 << 28..<1 << 31)), source.below(24..<46))
    c.padding = c.headDim < 240 ? source.below(0..<16) : 0
    if c.bits == 8 { c.out = (Int32(source.below(1 << 30..<1 << 31)), source.below(36..<40)) }
    #expect(c.run() == c.expected())
  }

  @Test(arguments: [1, 255, 256, 257, 512, 513, 16384]) func contexts(_ context: Int) {
    var source = ValueSource(seed: UInt64(context))
    var c = Case()
    (c.heads, c.headDim, c.context, c.position) = (1, 4, context, context - 1)
    c.q = source.values(4, extremes: false).map { $0 / 8 }
    c.k = source.values(context * 4, floor: -127)
    c.v = source.values(context * 4, floor: -127)
    c.score = (1 << 30, 36)
    #expect(c.run() == c.expected())
  }

  /// All scores equal: every weight is the largest, and the sums reach their limits.
  @Test(arguments: [Int8(127), -127]) func equalScores(_ value: Int8) {
    var c = Case()
    (c.heads, c.headDim, c.context, c.position) = (1, 2, 16384, 16383)
    c.q = [0, 0]
    c.k = [Int8](repeating: 127, count: 16384 * 2)
    c.v = [Int8](repeating: value, count: 16384 * 2)
    c.score = (Int32.max, 62)
    #expect(c.run() == c.expected())
  }

  /// The largest difference of scores there is, with the smallest and the largest factor.
  @Test(arguments: [1, 31, 62]) func extremeScores(_ shift: Int) {
    var c = Case()
    (c.heads, c.headDim, c.context, c.position, c.n) = (1, 256, 3, 1, 1)
    c.q = [Int16](repeating: -32768, count: 256)
    c.k =
      [Int8](repeating: 127, count: 256) + [Int8](repeating: -127, count: 256)
      + [Int8](repeating: 0, count: 256)
    c.v = (0..<768).map { Int8($0 % 255 - 127) }
    c.score = (Int32.max, shift)
    #expect(c.run() == c.expected())
  }

  /// Distances that walk through the whole table, seven units a step.
  @Test func everyTableEntry() {
    var c = Case()
    (c.heads, c.headDim, c.context) = (1, 2, 2)
    c.position = 1
    c.score = (1 << 30, 30)
    var wrong = 0
    for u in stride(from: 0, to: 65534, by: 7) {
      // a_0 = 0 and a_1 close to -u: q adds up to u, k_1 is -127/128 of the unit.
      c.q = [Int16(u / 2), Int16(u - u / 2)]
      c.k = [0, 0, -127, -127]
      c.v = [0, 0, 127, -127]
      if c.run() != c.expected() { wrong += 1 }
    }
    #expect(wrong == 0)
  }
}
