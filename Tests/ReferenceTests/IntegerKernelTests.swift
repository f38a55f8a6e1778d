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
    // The second column times 5: -1905 / 4 is -476.25.
    IntegerKernels.embedding(
      [1], table: table, d: 2, multipliers: [9, 3], columns: [1, 5], shift: 2, out: &out)
    #expect(out == [75, -476])
  }

  private func norm(
    _ x: [Int32], gamma: [Int32], eps: Int = 0, shift: Int, isEven: Bool = false
  ) -> [Int64] {
    var out = [Int64](repeating: 0, count: x.count)
    IntegerKernels.rmsNorm(
      x, n: 1, d: x.count,
      IntegerNorm(form: isEven ? .alike : .any, gamma: gamma, eps: eps, shift: shift)
    ) { out[$0] = $1 }
    return out
  }

  /// Rows whose sums of squares are within a factor of 32: one look-up, and 16 bits of the row.
  @Test func nearNormFollowsTheReals() {
    var random = SplitMix64(seed: 10)
    for trial in 0..<300 {
      let d = 8 + Int(random.next() % 70)
      let x = (0..<d).map { _ in Int32(random.normal() * 0x1p16) }
      let gamma = (0..<d).map { _ in Int32(random.normal() * 0x1p20) }
      let eps = trial % 3 == 0 ? Int(random.next() % (1 << 10)) : 0
      let sum = x.reduce(0.0) { $0 + Double($1) * Double($1) } + Double(eps) * 65536
      // From 2^10 to half of what there is room for.
      let rootShift = Int(log2(sum / 0x1p16).rounded(.down)) - 10 - trial % 5
      guard (0...15).contains(rootShift) else { continue }
      let norm = IntegerNorm(
        form: .near, gamma: gamma, eps: eps, rootShift: rootShift, rowShift: 24,
        multiplier: 1 << 20, shift: 30)
      var out = [Int64](repeating: 0, count: d)
      IntegerKernels.rmsNorm(x, n: 1, d: d, norm) { out[$0] = $1 }
      let root = 0x1p27 / sum.squareRoot() * exp2(Double(rootShift) / 2)
      for i in 0..<d {
        let real = Double(x[i]) * Double(gamma[i]) * 0x1p-24 * root * 0x1p-10
        guard abs(Double(x[i]) * Double(gamma[i]) * 0x1p-24) < 32767 else { continue }
        #expect(abs(Double(out[i]) - real) < 2 + root * 0x1p-10 + abs(real) * 1e-3)
      }
    }
  }

  @Test func rmsNormOfAKnownRow() {
    // The row divided by its length, 5 · 2^20, in 2^-20.5; gamma takes that to thousands.
    let gamma = Int32((1000 * 0x1p30 / 0x1p20 / 2.0.squareRoot()).rounded())
    #expect(norm([3 << 20, 4 << 20], gamma: [gamma, gamma], shift: 30) == [600, 800])
    #expect(norm([3 << 12, -4 << 12], gamma: [gamma, gamma], shift: 30) == [600, -800])
  }

  @Test func rmsNormFollowsTheRealsAtAllMagnitudes() {
    var random = SplitMix64(seed: 9)
    for trial in 0..<300 {
      let d = 1 + Int(random.next() % 70)
      let exponent = 12 + Int(random.next() % 12)
      let x = (0..<d).map { _ in
        Int32(truncatingIfNeeded: Int64(random.normal() * 0.3 * Double(1 << exponent)))
      }
      // 2^16 is what the sum of squares is counted in.
      let eps = trial % 3 == 0 ? Int(random.next() % (1 << 20)) : 0
      let gamma = (0..<d).map { _ in Int32(truncatingIfNeeded: Int64(random.normal() * 1e8)) }
      let sum = x.reduce(0.0) { $0 + Double($1) * Double($1) } + Double(eps) * 65536
      guard sum > 0x1p26 else { continue }
      // Rows of a stream whose rows are alike: from 12 bits up to eight times what was calibrated.
      let isEven = trial % 2 == 1 && sum > 0x1p32 && sum < 0x1p47
      let out = norm(x, gamma: gamma, eps: eps, shift: 36, isEven: isEven)
      for i in 0..<d {
        let real = Double(x[i]) / sum.squareRoot() * Double(gamma[i]) * 0x1p-16 * 2.0.squareRoot()
        #expect(abs(Double(out[i]) - real) < 2 + abs(real) * 1e-3)
      }
    }
  }

  @Test func rmsNormAtTheLimits() {
    #expect(norm([0, 0], gamma: [1 << 20, 1 << 20], shift: 10) == [0, 0])
    #expect(norm([0, 0], gamma: [1 << 20, 1 << 20], shift: 10, isEven: true) == [0, 0])
    for (value, shift) in [(Int32.min, 0), (.max, 0), (.max, 62), (0, 15)] {
      let near = IntegerNorm(
        form: .near, gamma: [Int32](repeating: .max, count: 4096), eps: 1 << 27,
        rootShift: shift % 16, rowShift: shift, multiplier: Int(Int32.max), shift: shift)
      IntegerKernels.rmsNorm([Int32](repeating: value, count: 4096), n: 1, d: 4096, near) { _, _ in
      }
    }
    // A row whose magnitudes do not add up in 32 bits gives something, without a trap.
    _ = norm(
      [Int32](repeating: .min, count: 4096), gamma: [Int32](repeating: 7, count: 4096), shift: 0)
    _ = norm(
      [Int32](repeating: .max, count: 5), gamma: [Int32](repeating: .max, count: 5), shift: 62)
    _ = norm(
      [Int32](repeating: .min, count: 4096), gamma: [Int32](repeating: 7, count: 4096), shift: 0,
      isEven: true)
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
    // Two pairs lie by halves: channels 0 and 2 turn a quarter, 1 and 3 stay.
    IntegerKernels.rope(
      [10, 20, 30, 40], n: 1, width: 4, headDim: 4, position: 0, table: [0, 16384, 16384, 0],
      out: &out)
    #expect(out == [-30, 20, 10, 40])
  }

  @Test func cacheIsWrittenAtItsPosition() {
    // Two heads of two channels in rows of three, context 2; head 1 has a factor of 1/4.
    var cache = [Int8](repeating: 9, count: 12)
    IntegerKernels.kvWrite(
      [100, -300, 10, -6], n: 1, kvHeads: 2, headDim: 2, pitch: 3, context: 2, position: 1,
      offsets: [7, 0, -2, -6], multipliers: [4, 4, 1, 1], shift: 2, limit: 127, cache: &cache)
    #expect(cache == [9, 9, 9, 93, -127, 9, 9, 9, 9, 3, 0, 9])
    IntegerKernels.kvWrite(
      [100, -300, 10, -6], n: 1, kvHeads: 2, headDim: 2, pitch: 3, context: 2, position: 1,
      offsets: [7, 0, -2, -6], multipliers: [4, 4, 1, 1], shift: 2, limit: 7, cache: &cache)
    #expect(cache == [9, 9, 9, 7, -7, 9, 9, 9, 9, 3, 0, 9])
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

  private func attend(
    _ q: [Int16], n: Int, position: Int, k: [Int8], v: [Int8], context: Int
  ) -> [Int64] {
    let attention = IntegerAttention(
      heads: 1, kvHeads: 1, headDim: 2, pitch: 2, context: context, scoreShift: 11, multiplier: 1,
      shift: 21)
    var out = [Int64](repeating: 0, count: q.count)
    out.withUnsafeMutableBufferPointer { out in
      nonisolated(unsafe) let out = out
      attention.run(q, n: n, position: position, k: k, v: v) { out[$0] = $1 }
    }
    return out
  }

  @Test func attentionByHand() {
    // Keys (32, 0) and (0, 32) with q = (16384, 0): scores 16384 · 32 / 2^11 = 256 and 0, a factor of
    // two apart, so the weights are 2/3 and 1/3: (90·2/3 + 30/3, -30·2/3 + 60/3) = (70, 0).
    #expect(
      attend([16384, 0], n: 1, position: 1, k: [32, 0, 0, 32], v: [90, -30, 30, 60], context: 2)
        == [70, 0])
  }

  @Test func attentionIsCausal() {
    // Row 0 of a batch sees one position: its result is that value.
    #expect(
      attend(
        [7, 9, 0, 0], n: 2, position: 0, k: [1, 1, 1, 1, 0, 0, 0, 0],
        v: [50, -50, 10, 10, 99, 99, 99, 99], context: 4) == [50, -50, 30, -20])
  }

  @Test func attentionFollowsTheReals() {
    var random = SplitMix64(seed: 12)
    for _ in 0..<50 {
      let count = 1 + Int(random.next() % 60)
      let k = (0..<count * 2).map { _ in Int8(truncatingIfNeeded: Int(random.next() % 255) - 127) }
      let v = (0..<count * 2).map { _ in Int8(truncatingIfNeeded: Int(random.next() % 255) - 127) }
      let q = [Int16(truncatingIfNeeded: random.next() % 32768), -5000]
      let scores = (0..<count).map {
        Double(q[0]) * Double(k[2 * $0]) + Double(q[1]) * Double(k[2 * $0 + 1])
      }
      let top = scores.max() ?? 0
      let weights = scores.map { exp2(($0 - top) / 4096 / 128) }
      let total = weights.reduce(0, +)
      let out = attend(q, n: 1, position: count - 1, k: k, v: v, context: count)
      for c in 0..<2 {
        let real = weights.indices.reduce(0.0) { $0 + weights[$1] * Double(v[2 * $1 + c]) } / total
        #expect(abs(Double(out[c]) - real) < 0.7)
      }
    }
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
