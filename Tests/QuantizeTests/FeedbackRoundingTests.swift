import Foundation
import Reference
import Support
import TensorCore
import TestKit
import Testing

@testable import Quantize

/// Second-order rounding against its definition, and what each part of it gains.
@Suite struct FeedbackRoundingTests {
  /// Correlated inputs: few directions carry most of them.
  static func inputs(_ size: Int, rows: Int, seed: UInt64) -> [Float] {
    var random = SplitMix64(seed: seed)
    let mix = (0..<size * size).map { _ in Float(random.normal()) }
    var result: [Float] = []
    for _ in 0..<rows {
      let source = (0..<size).map { Float(random.normal()) * exp2f(-Float($0) / 4) }
      for i in 0..<size {
        result.append((0..<size).reduce(0) { $0 + mix[i * size + $1] * source[$1] })
      }
    }
    return result
  }

  static func gram(_ size: Int, seed: UInt64) -> [Float] {
    let gram = GramMatrix(size: size)
    let x = inputs(size, rows: 200, seed: seed)
    x.withUnsafeBufferPointer {
      guard let base = $0.baseAddress else { return }
      gram.add(base, rows: 120)
      gram.add(base + 120 * size, rows: 80)
    }
    return gram.mean() ?? []
  }

  static func matrix(_ rows: Int, _ columns: Int, seed: UInt64) throws -> MigratedMatrix {
    var random = SplitMix64(seed: seed)
    let data = ConstantData(floats: (0..<rows * columns).map { _ in Float(random.normal()) })
    return try #require(
      MigratedMatrix(
        data, rows: rows, columns: columns, rotations: nil, rowFactors: nil, columnFactors: nil))
  }

  @Test(arguments: [7, 24, 45])
  func gramIsTheMeanOuterProduct(_ size: Int) {
    let x = Self.inputs(size, rows: 200, seed: 3)
    let found = Self.gram(size, seed: 3)
    for i in 0..<size {
      for j in 0..<size {
        let sum = (0..<200).reduce(0.0) { $0 + Double(x[$1 * size + i] * x[$1 * size + j]) }
        #expect(abs(Double(found[i * size + j]) - sum / 200) < 1e-3 * (1 + abs(sum / 200)))
      }
    }
  }

  /// The losses the factor gives are `e H eᵀ` with the shrunk matrix, in either order.
  @Test(arguments: [false, true])
  func factorGivesTheQuadraticForm(_ byActivity: Bool) throws {
    let size = 21
    let gram = Self.gram(size, seed: 5)
    let factor = try #require(
      FeedbackFactor(
        gram, size: size, shrinkage: 0.05, ordersByActivity: byActivity))
    let matrix = try Self.matrix(3, size, seed: 2)
    let steps: [Float] = [0.3, 0.4, 0.5]
    let integers = FeedbackRounder(factor: factor, limit: 127).round(matrix, steps: steps)
    let losses = factor.losses(matrix, integers, steps: steps)
    let mean = (0..<size).reduce(0.0) { $0 + Double(gram[$1 * size + $1]) } / Double(size)
    for row in 0..<3 {
      let e = (0..<size).map {
        Double(matrix.values[row * size + $0] - Float(integers[row * size + $0]) * steps[row])
      }
      var sum = 0.0
      for i in 0..<size {
        for j in 0..<size {
          sum +=
            e[i] * e[j]
            * (Double(gram[i * size + j]) * (i == j ? 1 : 0.95)
              + (i == j ? FeedbackFactor.floor * mean : 0))
        }
      }
      #expect(abs(Double(losses[row]) - sum) < 2e-3 * sum)
    }
  }

  /// GPTQ on correlated inputs loses well below what plain rounding does.
  @Test func feedbackGains() throws {
    let size = 48
    let factor = try #require(
      FeedbackFactor(
        Self.gram(size, seed: 7), size: size, shrinkage: 0.05,
        ordersByActivity: false))
    let matrix = try Self.matrix(40, size, seed: 8)
    let steps = [Float](repeating: 0.4, count: 40)
    func loss(_ rounder: FeedbackRounder) -> Float {
      factor.losses(matrix, rounder.round(matrix, steps: steps), steps: steps).reduce(0, +)
    }
    let plain = loss(FeedbackRounder(factor: nil, limit: 127))
    let fed = loss(FeedbackRounder(factor: factor, limit: 127))
    #expect(fed < 0.5 * plain)
  }

  /// Weighing bits lowers loss and bits together, at the rate of exchange it was given.
  @Test func pricesGain() throws {
    let size = 48
    let factor = try #require(
      FeedbackFactor(
        Self.gram(size, seed: 7), size: size, shrinkage: 0.05,
        ordersByActivity: false))
    let matrix = try Self.matrix(64, size, seed: 8)
    let steps = [Float](repeating: 1, count: 64)
    // Values of a geometric distribution: a bit for each step away from zero.
    let prices = (0..<256).map { 1 + 2 * Float(abs($0 - 128)) }
    func judge(_ rounder: FeedbackRounder) -> (loss: Float, bits: Float) {
      let integers = rounder.round(matrix, steps: steps)
      return (
        factor.losses(matrix, integers, steps: steps).reduce(0, +),
        integers.reduce(0) { $0 + prices[Int($1) + 128] }
      )
    }
    var rounder = FeedbackRounder(factor: factor, limit: 127)
    let plain = judge(rounder)
    rounder.prices = prices
    let weighed = judge(rounder)
    #expect(weighed.bits < 0.9 * plain.bits)
    let exchange = rounder.exchange / (factor.costs.reduce(0, +) / Float(size))
    #expect(exchange * weighed.loss + weighed.bits < exchange * plain.loss + plain.bits)
  }

  /// On a grid of few levels, clipping the rarest values errs less than reaching all of them.
  @Test func searchedClippingGains() throws {
    let matrix = try Self.matrix(1, 512, seed: 4)
    let costs = [Float](repeating: 1, count: 512)
    func error(_ step: Float) -> Float {
      matrix.values.reduce(0) {
        let q = min(max(($1 / step).rounded(), -7), 7)
        return $0 + ($1 - q * step) * ($1 - q * step)
      }
    }
    let found = matrix.values.withUnsafeBufferPointer { row in
      costs.withUnsafeBufferPointer { StepSearch.best(row, costs: $0, limit: 7) }
    }
    #expect(error(found) < 0.85 * error(matrix.largest(0) / 7))
  }
}
