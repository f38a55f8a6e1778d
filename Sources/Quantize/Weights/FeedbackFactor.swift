import Foundation

/// How an error made in one input channel is made good in the later ones: the factor of a gram
/// matrix that second-order rounding needs.
///
/// With `H = R Rᵀ`, `R` upper triangular, the cost `e H eᵀ` of an error is
/// `Σ_i R_ii² (e_i + Σ_{j<i} feedback_ij e_j)²`. Rounding channel after channel, each to what its
/// bracket asks for, is the method of Frantar et al., "GPTQ" (2022), without an inverse.
struct FeedbackFactor: Sendable {
  /// Input channels.
  let size: Int
  /// The channels in the order they are rounded.
  let order: [Int]
  /// In rounding order, row after row without gaps: the i coefficients of row i are those of the
  /// errors `0 ..< i` and start at ``start(_:)``.
  let feedback: [Float]
  /// `R_ii²`, in rounding order: what a unit of error left in channel i costs.
  let costs: [Float]

  /// Where row i of ``feedback`` starts.
  @inline(__always)
  static func start(_ i: Int) -> Int { i &* (i &- 1) / 2 }

  /// What an idle channel costs, as a share of the mean.
  static let floor = 1e-4

  /// The shrinkage that suits `size` channels seen on `tokens` tokens, not below `least`.
  static func shrinkage(size: Int, tokens: Int, least: Float) -> Float {
    max(least, min(0.5 * Float(size) / Float(max(tokens, 1)), 0.5))
  }

  /// The factor of a gram matrix.
  ///
  /// - Parameters:
  ///   - shrinkage: how much of each product of two channels is not believed, 0 to 1. A gram matrix
  ///     of few tokens shows relations that do not hold; less of them is nearer the truth (Ledoit &
  ///     Wolf, "A Well-Conditioned Estimator for Large-Dimensional Covariance Matrices", 2004).
  ///   - ordersByActivity: large diagonal entries first (GPTQ's "act order").
  /// - Returns: nil when the matrix is not positive definite even when damped.
  init?(_ gram: [Float], size: Int, shrinkage: Float, ordersByActivity: Bool) {
    self.size = size
    let k = size
    guard gram.count == k * k, k > 0 else { return nil }
    let diagonal = (0..<k).map { Double(gram[$0 * k + $0]) }
    let mean = diagonal.reduce(0, +) / Double(k)
    guard mean > 0, mean.isFinite else { return nil }
    order =
      ordersByActivity
      ? (0..<k).sorted { (diagonal[$1], $0) < (diagonal[$0], $1) } : Array(0..<k)
    let believed = 1 - Double(shrinkage)
    // The reversed matrix has the ordinary (lower) Cholesky factor.
    var lower = [Double](repeating: 0, count: k * k)
    for a in 0..<k {
      let p = order[k - 1 - a]
      for b in 0...a {
        let q = order[k - 1 - b]
        lower[a * k + b] = Double(gram[p * k + q]) * believed
      }
      lower[a * k + a] = diagonal[p] + mean * Self.floor
    }
    guard Self.cholesky(&lower, k) else { return nil }
    var feedback = [Float](repeating: 0, count: Self.start(k))
    var costs = [Float](repeating: 0, count: k)
    for i in 0..<k {
      let column = k - 1 - i
      let pivot = lower[column * k + column]
      costs[i] = Float(pivot * pivot)
      let start = Self.start(i)
      for j in 0..<i { feedback[start + j] = Float(lower[(k - 1 - j) * k + column] / pivot) }
    }
    self.feedback = feedback
    self.costs = costs
  }

  /// What a unit of error left in each channel costs, by channel, when the channels' values are
  /// multiplied by `units` and the weights divided by them.
  func channelCosts(units: [Float]? = nil) -> [Float] {
    var result = [Float](repeating: 0, count: size)
    for (i, channel) in order.enumerated() {
      let unit = units?[channel] ?? 1
      result[channel] = costs[i] * unit * unit
    }
    return result
  }

  /// Replaces the lower triangle by its Cholesky factor, row by row.
  private static func cholesky(_ a: inout [Double], _ k: Int) -> Bool {
    a.withUnsafeMutableBufferPointer { a -> Bool in
      guard let base = a.baseAddress else { return false }
      for i in 0..<k {
        let row = base + i * k
        for j in 0...i {
          let other = base + j * k
          var lanes = SIMD4<Double>.zero
          var c = 0
          while c + 4 <= j {
            lanes +=
              UnsafeRawPointer(row + c).loadUnaligned(as: SIMD4<Double>.self)
              * UnsafeRawPointer(other + c).loadUnaligned(as: SIMD4<Double>.self)
            c += 4
          }
          var sum = row[j] - lanes.sum()
          while c < j {
            sum -= row[c] * other[c]
            c += 1
          }
          if i == j {
            guard sum > 0, sum.isFinite else { return false }
            row[i] = sum.squareRoot()
          } else {
            row[j] = sum / other[j]
          }
        }
      }
      return true
    }
  }
}
