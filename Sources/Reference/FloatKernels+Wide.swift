import CFloatKernels

/// Products on processors with wider registers. Every sum keeps the order of the portable loops, so
/// the numbers are the same, bit for bit.
extension FloatKernels {
  /// Whether this processor has them.
  static let isWide = cfk_available() != 0

  /// ``linear(_:n:k:w:m:bias:out:)``.
  static func wideLinear(
    _ x: Pointer, n: Int, k: Int, w: Pointer, m: Int, bias: Pointer?, out: Out
  ) {
    let shared = SharedPointer(out)
    // Rows of a part stay in the cache while all tokens pass.
    Parallel.ranges(m, grain: max(8, min(128, (32768 / max(k, 1)) & ~7))) { rows in
      withUnsafeTemporaryAllocation(of: Float.self, capacity: max(8 * k, 1)) { room in
        guard let room = room.baseAddress else { return }
        cfk_dots(
          x, n, w + rows.lowerBound * k, rows.count, k, shared.base + rows.lowerBound, m, room)
      }
      guard let bias else { return }
      for t in 0..<n {
        for o in rows { shared.base[t * m + o] += bias[o] }
      }
    }
  }

  /// `out [rows, columns] += a · b`, with `b` `[inner, columns]` and `a` `[rows, inner]`, or
  /// `[inner, rows]` where it is transposed.
  static func wideProduct(
    _ a: Pointer, _ rows: Int, transposed: Bool, inner: Int, _ b: Pointer, _ columns: Int,
    into out: Out
  ) {
    let shared = SharedPointer(out)
    let (alongInner, alongRows) = transposed ? (rows, 1) : (1, inner)
    // The longer side is split, so that no two parts write the same numbers.
    if rows > columns {
      Parallel.ranges(rows, grain: max(8, ((rows + 7) / 8 + 3) & ~3)) { range in
        cfk_outer(
          a + range.lowerBound * alongRows, alongInner, alongRows, b, columns, inner,
          shared.base + range.lowerBound * columns, columns, range.count, columns)
      }
    } else {
      Parallel.ranges(columns, grain: max(16, ((columns + 7) / 8 + 15) & ~15)) { range in
        cfk_outer(
          a, alongInner, alongRows, b + range.lowerBound, columns, inner,
          shared.base + range.lowerBound, columns, rows, range.count)
      }
    }
  }

  /// `into [m, k] += dyᵀ · x`: the gradient at a linear layer's weight, `dy` `[n, m]` that at its
  /// result and `x` `[n, k]` what it reads.
  static func weightGradient(
    _ x: Pointer, _ dy: Pointer, n: Int, k: Int, m: Int, into: Out
  ) {
    if isWide {
      wideProduct(dy, m, transposed: true, inner: n, x, k, into: into)
      return
    }
    let shared = SharedPointer(into)
    Parallel.ranges(m, grain: max(1, 262_144 / max(n * k, 1))) { rows in
      for o in rows {
        let row = shared.base + o * k
        for t in 0..<n {
          let (g, from) = (dy[t * m + o], x + t * k)
          for c in 0..<k { row[c] += g * from[c] }
        }
      }
    }
  }
}
