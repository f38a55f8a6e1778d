import Reference

extension FeedbackFactor {
  /// `e H eᵀ` of each row's rounding error, with the damped gram matrix H.
  ///
  /// - Parameter units: what the values of each channel were multiplied by.
  func losses(
    _ matrix: MigratedMatrix, _ integers: [Int8], steps: [Float], units: [Float]? = nil
  ) -> [Float] {
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
            let error =
              matrix.values[base + channel] - Float(integers[base + channel]) * steps[row]
            errors[i] = error * (units?[channel] ?? 1)
          }
          var sum: Float = 0
          feedback.withUnsafeBufferPointer { feedback in
            errors.withUnsafeBufferPointer { errors in
              for i in 0..<size {
                var left = errors[i]
                var lanes = SIMD8<Float>.zero
                var j = 0
                let coefficients = UnsafeRawPointer(
                  feedback.baseAddress.unsafelyUnwrapped + Self.start(i))
                let earlier = UnsafeRawPointer(errors.baseAddress.unsafelyUnwrapped)
                while j + 8 <= i {
                  lanes +=
                    coefficients.loadUnaligned(fromByteOffset: 4 * j, as: SIMD8<Float>.self)
                    * earlier.loadUnaligned(fromByteOffset: 4 * j, as: SIMD8<Float>.self)
                  j += 8
                }
                left += lanes.sum()
                while j < i {
                  left += feedback[Self.start(i) + j] * errors[j]
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
