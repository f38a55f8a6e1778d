import CFloatKernels

/// Products of large float matrices for those who look at a model's numbers.
public enum FloatProducts {
  /// `into [width, width] += xᵀ x` of `rows` rows, in order; only the diagonal and what is right of
  /// it is to be used.
  public static func addGram(
    _ x: UnsafePointer<Float>, rows: Int, width: Int, into: UnsafeMutablePointer<Float>
  ) {
    nonisolated(unsafe) let (x, out) = (x, into)
    let tile = 32
    let parts = (width + tile - 1) / tile
    Parallel.ranges(parts, grain: max(1, parts / 16)) { range in
      for part in range {
        let first = part * tile
        let height = min(tile, width - first)
        if FloatKernels.isWide {
          cfk_outer(
            x + first, width, 1, x + first, width, rows, out + first * width + first, width,
            height, width - first)
          continue
        }
        for i in first..<first + height {
          let row = out + i * width
          for t in 0..<rows {
            let (from, factor) = (x + t * width, x[t * width + i])
            for j in first..<width { row[j] += factor * from[j] }
          }
        }
      }
    }
  }

  /// `into [m, k] += dyᵀ x`: the gradient at a linear layer's weight, from what it reads `[n, k]` and the
  /// gradient at its result `[n, m]`.
  public static func addWeightGradient(
    _ x: UnsafePointer<Float>, _ dy: UnsafePointer<Float>, n: Int, k: Int, m: Int,
    into: UnsafeMutablePointer<Float>
  ) {
    FloatKernels.weightGradient(x, dy, n: n, k: k, m: m, into: into)
  }
}
