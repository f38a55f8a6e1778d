import Reference

extension FeedbackFactor {
  /// The mean of all channels' costs.
  var meanCost: Float { costs.reduce(0, +) / Float(max(size, 1)) }

  /// `e H eᵀ` of each row's rounding error, with the damped gram matrix H.
  func losses(_ matrix: MigratedMatrix, _ integers: [Int8], steps: [Float]) -> [Float] {
    var losses = [Float](repeating: 0, count: matrix.rows)
    losses.withUnsafeMutableBufferPointer { losses in
      nonisolated(unsafe) let losses = losses
      // Every eighth row stands for its neighbours in large matrices: this is for reports.
      let stride = matrix.rows > 2048 ? 8 : 1
      Parallel.ranges((matrix.rows + stride - 1) / stride, grain: 8) { range in
        var errors = [Float](repeating: 0, count: size)
        for group in range {
          let row = group * stride
          let base = row * size
          for (i, channel) in order.enumerated() {
            errors[i] =
              matrix.values[base + channel] - Float(integers[base + channel]) * steps[row]
          }
          var sum: Float = 0
          feedback.withUnsafeBufferPointer { feedback in
            errors.withUnsafeBufferPointer { errors in
              for i in 0..<size {
                var left = errors[i]
                var lanes = SIMD8<Float>.zero
                var j = 0
                let coefficients = UnsafeRawPointer(
                  feedback.baseAddress.unsafelyUnwrapped + i * size)
                let earlier = UnsafeRawPointer(errors.baseAddress.unsafelyUnwrapped)
                while j + 8 <= i {
                  lanes +=
                    coefficients.loadUnaligned(fromByteOffset: 4 * j, as: SIMD8<Float>.self)
                    * earlier.loadUnaligned(fromByteOffset: 4 * j, as: SIMD8<Float>.self)
                  j += 8
                }
                left += lanes.sum()
                while j < i {
                  left += feedback[i * size + j] * errors[j]
                  j += 1
                }
                sum += costs[i] * left * left
              }
            }
          }
          for r in row..<min(row + stride, matrix.rows) { losses[r] = sum }
        }
      }
    }
    return losses
  }
}
