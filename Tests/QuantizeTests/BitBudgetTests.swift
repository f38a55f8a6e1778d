import Foundation
import Support
import Testing

@testable import Quantize

/// Layers rounded one after the other stay within their bits, whatever was wrong with what was
/// expected of them.
@Suite struct BitBudgetTests {
  @Test(arguments: 0..<20)
  func surprisesAreMadeGood(_ seed: Int) {
    var random = SplitMix64(seed: UInt64(seed))
    let counts = (0..<12).map { _ in 1000 + Int(random.next() % 9000) }
    let total = counts.reduce(0, +)
    let wanted = 2.5 + 3 * random.uniform()
    // What layers really take at step 1, a few percent off what is expected.
    let real = counts.map { _ in wanted * (0.9 + 0.2 * random.uniform()) }
    let expected = real.map { $0 * (0.96 + 0.08 * random.uniform()) }
    let slope = 0.3 + 0.3 * random.uniform()
    func bits(_ layer: Int, _ step: Double) -> Int {
      Int(Double(counts[layer]) * (real[layer] - slope * log2(step)))
    }
    var budget = BitBudget(
      limit: wanted * Double(total),
      expected: zip(expected, counts).reduce(0) { $0 + $1.0 * Double($1.1) }, count: total,
      lossStep: 1)
    var spent = 0
    for layer in counts.indices {
      var found = bits(layer, budget.lossStep)
      var tries = 0
      while layer == counts.count - 1, !budget.isFilled(bits: found), tries < 6 {
        budget.retry(bits: found, count: counts[layer])
        found = bits(layer, budget.lossStep)
        tries += 1
      }
      spent += found
      budget.spend(
        bits: found, expected: expected[layer] * Double(counts[layer]), count: counts[layer])
    }
    #expect(Double(spent) <= wanted * Double(total))
    #expect(Double(spent) > 0.995 * wanted * Double(total))
  }
}
