import Support
import Testing

@testable import Reference

/// Products in wide registers against sums written out, bit for bit.
@Suite(.enabled(if: FloatKernels.isWide, "this processor has no wider registers"))
struct WideKernelTests {
  /// Tokens, outputs and inputs of a product.
  static let sizes: [(n: Int, m: Int, k: Int)] = [
    (2, 1, 1), (3, 5, 4), (7, 9, 13), (8, 16, 64), (9, 33, 47), (17, 40, 300), (130, 18, 24),
  ]

  private func numbers(_ count: Int, _ random: inout SplitMix64) -> [Float] {
    (0..<count).map { _ in Float(random.normal()) }
  }

  @Test(arguments: sizes.indices) func layersKeepTheirBits(_ index: Int) {
    let (n, m, k) = Self.sizes[index]
    var random = SplitMix64(seed: UInt64(index))
    let (x, w) = (numbers(n * k, &random), numbers(m * k, &random))
    let bias = numbers(m, &random)
    var found = [Float](repeating: 0, count: n * m)
    FloatKernels.wideLinear(x, n: n, k: k, w: w, m: m, bias: bias, out: &found)
    for t in 0..<n {
      for o in 0..<m {
        let sum = x.withUnsafeBufferPointer { x in
          w.withUnsafeBufferPointer { w in
            FloatKernels.dot(x.baseAddress! + t * k, w.baseAddress! + o * k, k)
          }
        }
        #expect(found[t * m + o] == sum + bias[o])
      }
    }
  }

  @Test(arguments: sizes.indices, [false, true])
  func productsKeepTheirBits(_ index: Int, _ transposed: Bool) {
    let (rows, columns, inner) = Self.sizes[index]
    var random = SplitMix64(seed: UInt64(index) + 100)
    let (a, b) = (numbers(rows * inner, &random), numbers(inner * columns, &random))
    var expected = numbers(rows * columns, &random)
    var found = expected
    FloatKernels.wideProduct(
      a, rows, transposed: transposed, inner: inner, b, columns, into: &found)
    for i in 0..<rows {
      for j in 0..<columns {
        for p in 0..<inner {
          let factor = transposed ? a[p * rows + i] : a[i * inner + p]
          expected[i * columns + j] += factor * b[p * columns + j]
        }
      }
    }
    #expect(found == expected)
  }

  @Test(arguments: [1, 7, 31, 32, 33, 100]) func gramsHoldTheirUpperHalf(_ width: Int) {
    var random = SplitMix64(seed: UInt64(width))
    let rows = 11
    let x = numbers(rows * width, &random)
    var found = [Float](repeating: 1, count: width * width)
    FloatProducts.addGram(x, rows: rows, width: width, into: &found)
    for i in 0..<width {
      for j in i..<width {
        let sum = (0..<rows).reduce(Float(1)) { $0 + x[$1 * width + i] * x[$1 * width + j] }
        #expect(found[i * width + j] == sum)
      }
    }
  }
}
