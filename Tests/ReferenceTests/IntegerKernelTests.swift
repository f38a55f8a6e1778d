import Foundation
import Support
import TensorCore
import Testing

@testable import Reference

/// Each operation against values worked out by hand, or by wide arithmetic written differently.
@Suite struct IntegerKernelTests {
  @Test func embeddingScalesItsRow() {
    let table: [Int8] = [1, -2, 100, -127]
    var out = [Int32](repeating: 0, count: 2)
    // Row 1 times 3 / 2^2, halves up: 75, -381/4 = -95.25.
    IntegerKernels.embedding([1], table: table, d: 2, multipliers: [9, 3], shift: 2, out: &out)
    #expect(out == [75, -95])
  }

  @Test func rmsNormOfAKnownRow() {
    // x = 2^10 (3, 4): mean square 12.5 · 2^20, normalised 3/√12.5 = 0.848528, 4/√12.5 = 1.131371.
    var out = [Int16](repeating: 0, count: 2)
    // gamma: 1000 / 2^22.
    IntegerKernels.rmsNorm16(
      [3 << 10, 4 << 10], n: 1, d: 2, gamma: [1000 << 8, 1000 << 8], eps: 0, shift: 30, out: &out)
    #expect(out == [849, 1131])
    var small = [Int8](repeating: 0, count: 2)
    IntegerKernels.rmsNorm8(
      [3 << 10, 4 << 10], n: 1, d: 2, gamma: [100 << 8, 1000 << 8], eps: 0, shift: 30,
      out: &small)
    #expect(small == [85, 127])
  }

  @Test func rmsNormFollowsTheRealsAtAllMagnitudes() {
    var random = SplitMix64(seed: 9)
    for trial in 0..<200 {
      let d = 1 + Int(random.next() % 70)
      let exponent = Int(random.next() % 31)
      let x = (0..<d).map { _ in
        Int32(truncatingIfNeeded: Int64(random.normal() * 0.3 * Double(1 << exponent)))
      }
      let eps = trial % 3 == 0 ? UInt64(1) << (random.next() % 63) : 0
      let gamma = (0..<d).map { _ in Int32(truncatingIfNeeded: Int64(random.normal() * 1e8)) }
      var out = [Int16](repeating: 0, count: d)
      IntegerKernels.rmsNorm16(x, n: 1, d: d, gamma: gamma, eps: eps, shift: 40, out: &out)
      let mean = x.reduce(0.0) { $0 + Double($1) * Double($1) } / Double(d) + Double(eps)
      guard mean > 1e6 else { continue }
      for i in 0..<d {
        let real = Double(x[i]) / mean.squareRoot() * Double(gamma[i]) * 0x1p-18
        #expect(abs(Double(out[i]) - min(max(real, -32768), 32767)) < 2)
      }
    }
  }

  @Test func rmsFactorAtTheLimits() {
    // All at the lowest value: nothing overflows, the row normalises to -1 (22 fraction bits).
    let low = [Int32](repeating: .min, count: 65536)
    let (r, s) = IntegerKernels.rmsFactor(low, d: low.count, eps: 0)
    #expect(Natural.shift(Int64(Int32.min) * r, s) == -(1 << 22))
    // All zero: v is 1.
    let zero = IntegerKernels.rmsFactor([0, 0], d: 2, eps: 0)
    #expect(zero.shift == 9 && zero.reciprocal == 1 << 31)
    // A huge eps saturates instead of wrapping.
    let huge = IntegerKernels.rmsFactor(low, d: low.count, eps: 1 << 62)
    #expect(huge.reciprocal > 0 && huge.reciprocal <= 1 << 31)
  }

  @Test func rootIsTheFloor() {
    var random = SplitMix64(seed: 3)
    var cases: [UInt64] = [
      1 << 62, .max, (1 << 62) + 1, 0xFFFF_FFFE_0000_0001, 0xFFFF_FFFE_0000_0000,
    ]
    cases += (0..<1000).map { _ in random.next() | 1 << 62 }
    for u in cases {
      let root = IntegerKernels.root(u)
      #expect(root.multipliedFullWidth(by: root) <= (0, u))
      #expect((root + 1).multipliedFullWidth(by: root + 1) > (0, u))
    }
  }

  @Test func linearByHand() {
    // acc = 3·10 - 2·20 + 1 = -9; times 0.5, halves up: -4.
    let linear = IntegerLinear(
      rows: 1, columns: 2, multipliers: [FixedMultiplier(multiplier: 1 << 14, shift: 15)],
      bias: [1])
    var result: Int64 = 0
    linear.run([10, 20], n: 1, weights: [3, -2]) { _, _, y in result = y }
    #expect(result == -4)
  }

  @Test(arguments: [1, 3, 4, 7, 513, 1600])
  func linearSumsExactly(_ k: Int) {
    var random = SplitMix64(seed: UInt64(k))
    let (n, m) = (3, 6)
    // Values at their limits make 32-bit sums as large as they get.
    let x = (0..<n * k).map { i in i < k ? Int16.min : Int16(truncatingIfNeeded: random.next()) }
    let w = (0..<m * k).map { i in
      i < k ? Int8(-127) : Int8(truncatingIfNeeded: Int(random.next() % 255) - 127)
    }
    let linear = IntegerLinear(
      rows: m, columns: k,
      multipliers: (0..<m).map { FixedMultiplier(multiplier: Int32(20000 + $0), shift: 20) },
      bias: nil)
    var results = [Int64](repeating: 0, count: n * m)
    results.withUnsafeMutableBufferPointer { out in
      nonisolated(unsafe) let out = out
      linear.run(x, n: n, weights: w) { t, o, y in out[t * m + o] = y }
    }
    for t in 0..<n {
      for o in 0..<m {
        var sum: Int64 = 0
        for i in 0..<k { sum += Int64(x[t * k + i]) * Int64(w[o * k + i]) }
        let scaled = sum * Int64(20000 + o)
        let expected = Int64((Double(scaled) / 0x1p20 + 0.5).rounded(.down))
        #expect(results[t * m + o] == expected)
      }
    }
  }

  @Test func ropeByHand() {
    // A quarter turn at position 1, an eighth at position 2.
    let eighth = Int16((0.5.squareRoot() * 16384).rounded())
    let table: [Int16] = [16384, 0, 0, 16384, eighth, eighth]
    var out = [Int16](repeating: 0, count: 4)
    IntegerKernels.rope(
      [1000, -500, 1000, 1000], n: 2, width: 2, headDim: 2, position: 1, table: table, out: &out)
    #expect(out == [500, 1000, 0, 1414])
    IntegerKernels.rope(
      [.max, .min], n: 1, width: 2, headDim: 2, position: 2, table: table, out: &out)
    #expect(out[0] == .max)
  }

  @Test func cacheIsWrittenAtItsPosition() {
    // Two heads of two channels, context 3; head 1 has a factor of 1/4.
    var cache = [Int8](repeating: 0, count: 12)
    IntegerKernels.kvWrite(
      [100, -300, 10, -6], n: 1, kvHeads: 2, headDim: 2, context: 3, position: 1,
      offsets: [7, 0, -2, -6], multipliers: [1, 1], shifts: [0, 2], cache: &cache)
    #expect(cache == [0, 0, 93, -127, 0, 0, 0, 0, 3, 0, 0, 0])
  }

  @Test func exponentWeights() {
    let table = ExpTable.entries
    #expect(ExpTable.weight(0, table) == 32768)
    #expect(ExpTable.weight(4096, table) == 16384)
    #expect(ExpTable.weight(15 << 12, table) == 1)
    #expect(ExpTable.weight(65535, table) == 1)
    #expect(ExpTable.weight(65536, table) == 0)
    for u in stride(from: 0, to: 65536, by: 37) {
      #expect(abs(Double(ExpTable.weight(u, table)) - exp2(15 - Double(u) / 4096)) <= 1)
    }
  }

  @Test func attentionByHand() {
    // One head, two channels; keys (1, 0) and (0, 1) with q = (4096, 0): scores 4096 and 0.
    // One step is 2^-12 powers of two, so the weights are 1 and 1/2.
    let attention = IntegerAttention(
      heads: 1, kvHeads: 1, headDim: 2, context: 2, expMultiplier: [1 << 30], expShift: [30],
      outMultiplier: [1 << 30], outShift: [53])
    var out = [Int64](repeating: 0, count: 2)
    out.withUnsafeMutableBufferPointer { out in
      nonisolated(unsafe) let out = out
      attention.run([4096, 0], n: 1, position: 1, k: [1, 0, 0, 1], v: [90, -30, 30, 60]) {
        out[$0] = $1
      }
    }
    // (90·2/3 + 30/3, -30·2/3 + 60/3) = (70, 0).
    #expect(out == [70, 0])
  }

  @Test func attentionIsCausal() {
    // Row 0 of a batch sees one position: its result is that value.
    let attention = IntegerAttention(
      heads: 1, kvHeads: 1, headDim: 2, context: 4, expMultiplier: [1 << 30], expShift: [30],
      outMultiplier: [1 << 30], outShift: [53])
    var out = [Int64](repeating: 0, count: 4)
    out.withUnsafeMutableBufferPointer { out in
      nonisolated(unsafe) let out = out
      attention.run(
        [7, 9, 0, 0], n: 2, position: 0, k: [1, 1, 1, 1, 0, 0, 0, 0],
        v: [50, -50, 10, 10, 99, 99, 99, 99]
      ) { out[$0] = $1 }
    }
    #expect(out == [50, -50, 30, -20])
  }

  @Test func lookUpInterpolates() {
    // base = 10 i, slope 10.
    let table = (0..<512).map { UInt32($0 * 10) | 10 << 16 }
    var out = [Int16](repeating: 0, count: 4)
    IntegerKernels.lut([-32768, -32704, 32767, 0], count: 4, table: table, out: &out)
    // 64/128 of 10 is 5; 127/128 rounds to 10.
    #expect(out == [0, 5, 5120, 2560])
    let negative: [UInt32] = Array(
      repeating: UInt32(UInt16(bitPattern: -100)) | 0xFFF6_0000, count: 512)
    IntegerKernels.lut([1, 13, 64, 127], count: 4, table: negative, out: &out)
    #expect(out == [-100, -101, -105, -110])
  }

  @Test func productRounds() {
    #expect(IntegerKernels.product(300, -7, 1 << 30, 32) == -525)
    #expect(IntegerKernels.product(.min, .min, Int64(Int32.max), 40) == 2_097_152)
  }
}
