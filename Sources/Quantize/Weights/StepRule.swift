/// How the step of each output channel is chosen.
enum StepRule {
  /// The grid is −limit…limit and the step the one with the least weighted error, from the one that
  /// clips nothing downwards.
  case levels(limit: Int)
  /// Every channel has its own step (8-bit steps bound it from below).
  case given([Float])
}

/// Searches the step of a row on a grid of few levels: round-to-nearest with searched clipping, as in
/// Nagel et al., "A White Paper on Neural Network Quantization" (2021), section 3.1, with the error
/// of each column weighted by what it costs.
enum StepSearch {
  /// The step with the least weighted error; zero for a row of zeros.
  ///
  /// - Parameters:
  ///   - costs: what a unit of squared error costs in each column.
  ///   - limit: the largest level.
  static func best(
    _ row: UnsafeBufferPointer<Float>, costs: UnsafeBufferPointer<Float>, limit: Int
  ) -> Float {
    var largest: Float = 0
    for v in row { largest = max(largest, abs(v)) }
    guard largest > 1e-30 else { return 0 }
    let full = largest / Float(limit)
    // Few levels clip more: at 127 a third of the range at most, at 7 two thirds, at 1 nearly all of it.
    let reach: Float = limit > 31 ? 0.36 : limit > 3 ? 0.64 : 0.9
    let tries = limit > 31 ? 13 : limit > 3 ? 33 : 49
    var best = full
    var least = Float.infinity
    for index in 0..<tries {
      let step = full * (1 - reach * Float(index) / Float(tries - 1))
      let error = self.error(row, costs: costs, step: step, limit: Float(limit))
      if error < least {
        least = error
        best = step
      }
    }
    return best
  }

  /// The weighted squared error of plain rounding.
  private static func error(
    _ row: UnsafeBufferPointer<Float>, costs: UnsafeBufferPointer<Float>, step: Float, limit: Float
  ) -> Float {
    typealias Lanes = SIMD8<Float>
    guard let values = row.baseAddress, let weights = costs.baseAddress else { return 0 }
    let magic = Lanes(repeating: 0x1.8p23)
    let (low, high) = (Lanes(repeating: -limit), Lanes(repeating: limit))
    let inverse = 1 / step
    var sum = Lanes.zero
    var c = 0
    while c + 8 <= row.count {
      let v = UnsafeRawPointer(values + c).loadUnaligned(as: Lanes.self)
      let weight = UnsafeRawPointer(weights + c).loadUnaligned(as: Lanes.self)
      let scaled = (v * inverse).clamped(lowerBound: low, upperBound: high)
      let difference = v - ((scaled + magic) - magic) * step
      sum += weight * difference * difference
      c += 8
    }
    var error = sum.sum()
    while c < row.count {
      let q = min(max(values[c] * inverse, -limit), limit).rounded(.toNearestOrEven)
      let difference = values[c] - q * step
      error += weights[c] * difference * difference
      c += 1
    }
    return error
  }
}
