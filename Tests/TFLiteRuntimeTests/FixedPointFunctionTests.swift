import Foundation
import Support
import Testing

@testable import TFLiteRuntime

/// The fixed-point functions against floating point.
@Suite struct FixedPointFunctionTests {
  @Test func exponential() {
    var random = SplitMix64(seed: 1)
    for bits in [4, 5] {
      for _ in 0..<2000 {
        let raw = -Int32(truncatingIfNeeded: random.next() >> 33)
        let real = Double(raw) / Double(sign: .plus, exponent: 31 - bits, significand: 1)
        let result = Double(FixedPointFunctions.exp(raw, integerBits: bits)) * 0x1p-31
        #expect(abs(result - exp(real)) < 0x1p-21, "\(real)")
      }
      #expect(FixedPointFunctions.exp(0, integerBits: bits) == Int32.max)
    }
  }

  @Test func reciprocal() {
    var random = SplitMix64(seed: 2)
    for _ in 0..<2000 {
      let raw = Int32(truncatingIfNeeded: random.next() >> 33)
      let result = Double(FixedPointFunctions.reciprocalOfOnePlus(raw)) * 0x1p-31
      #expect(abs(result - 1 / (1 + Double(raw) * 0x1p-31)) < 0x1p-26)
    }
  }

  @Test func curves() {
    var random = SplitMix64(seed: 3)
    for _ in 0..<2000 {
      let raw = Int32(truncatingIfNeeded: random.next() >> 32)
      let real = Double(raw) * 0x1p-27
      let logistic = Double(FixedPointFunctions.logistic(raw)) * 0x1p-31
      let curved = Double(FixedPointFunctions.tanh(raw)) * 0x1p-31
      #expect(abs(logistic - 1 / (1 + exp(-real))) < 0x1p-23, "\(real)")
      #expect(abs(curved - tanh(real)) < 0x1p-22, "\(real)")
    }
    #expect(FixedPointFunctions.logistic(0) == 1 << 30)
    #expect(FixedPointFunctions.tanh(0) == 0)
  }

  @Test func inverseRoot() {
    for a in 1...70000 as ClosedRange<Int32> {
      let result = Double(FixedPointFunctions.inverseRoot(of: a))
      #expect(abs(result - 0x1p20 / Double(a).squareRoot()) < 1.5, "\(a)")
    }
  }

  @Test func wideTable() {
    let table = WideTable(inputScale: 1 / 4096, zero: 0, outputScale: 1 / 32768) { sinf($0) }
    for code in stride(from: -32768, through: 32767, by: 7) {
      let expected = sin(Double(code) / 4096) * 32768
      #expect(abs(Double(table[code]) - min(expected, 32767)) < 10, "\(code)")
    }
  }
}
