import Foundation

/// The transposes of the float kernels: from the gradient of a result to that of an operand. Each
/// adds to `into`, since a value may have several readers.
extension FloatKernels {
  /// `into [n, k] += dy [n, m] · w [m, k]`.
  static func linearGradient(
    _ dy: Pointer, n: Int, k: Int, w: Pointer, m: Int, into: Out
  ) {
    if isWide {
      wideProduct(dy, n, transposed: false, inner: m, w, k, into: into)
      return
    }
    let shared = SharedPointer(into)
    // Columns are split so that no two parts write the same numbers.
    Parallel.ranges(k, grain: max(64, (k / 2 + 7) & ~7)) { columns in
      let out = shared.base
      let rowBlock = 16
      var first = 0
      while first < m {
        let last = min(first + rowBlock, m)
        var t = 0
        while t < n {
          let count = min(2, n - t)
          var c = columns.lowerBound
          while c + 8 <= columns.upperBound {
            var (a0, a1) = (load(out, t * k + c), load(out, t * k + c + 4))
            let second = count > 1 ? t + 1 : t
            var (b0, b1) = (load(out, second * k + c), load(out, second * k + c + 4))
            for o in first..<last {
              let (w0, w1) = (load(w, o * k + c), load(w, o * k + c + 4))
              let (g, h) = (dy[t * m + o], dy[second * m + o])
              a0 += w0 * g
              a1 += w1 * g
              b0 += w0 * h
              b1 += w1 * h
            }
            store(a0, out, t * k + c)
            store(a1, out, t * k + c + 4)
            if count > 1 {
              store(b0, out, second * k + c)
              store(b1, out, second * k + c + 4)
            }
            c += 8
          }
          while c < columns.upperBound {
            for row in t..<t + count {
              var sum = out[row * k + c]
              for o in first..<last { sum += dy[row * m + o] * w[o * k + c] }
              out[row * k + c] = sum
            }
            c += 1
          }
          t += count
        }
        first = last
      }
    }
  }

  @inline(__always)
  private static func store(_ v: Lanes, _ p: Out, _ i: Int) {
    UnsafeMutableRawPointer(p + i).storeBytes(of: v, as: Lanes.self)
  }

  /// The gradient of ``rmsNorm(_:n:d:gamma:eps:out:)``.
  static func rmsNormGradient(
    _ x: Pointer, _ dy: Pointer, n: Int, d: Int, gamma: Pointer, eps: Float, into: Out
  ) {
    for t in 0..<n {
      let (row, up, to) = (x + t * d, dy + t * d, into + t * d)
      var squares = 0.0
      var along = 0.0
      for i in 0..<d {
        squares += Double(row[i] * row[i])
        along += Double(up[i] * gamma[i] * row[i])
      }
      let factor = 1 / (Float(squares / Double(d)) + eps).squareRoot()
      let pull = factor * factor * factor * Float(along / Double(d))
      for i in 0..<d { to[i] += up[i] * gamma[i] * factor - row[i] * pull }
    }
  }

  /// The gradient of ``layerNorm(_:n:d:gamma:beta:eps:out:)``.
  static func layerNormGradient(
    _ x: Pointer, _ dy: Pointer, n: Int, d: Int, gamma: Pointer, eps: Float, into: Out
  ) {
    for t in 0..<n {
      let (row, up, to) = (x + t * d, dy + t * d, into + t * d)
      var (sum, squares) = (0.0, 0.0)
      for i in 0..<d { sum += Double(row[i]) }
      let mean = Float(sum / Double(d))
      for i in 0..<d {
        let centred = row[i] - mean
        squares += Double(centred * centred)
      }
      let factor = 1 / (Float(squares / Double(d)) + eps).squareRoot()
      var (total, along) = (0.0, 0.0)
      for i in 0..<d {
        let g = up[i] * gamma[i]
        total += Double(g)
        along += Double(g * (row[i] - mean) * factor)
      }
      let (shift, pull) = (Float(total / Double(d)), Float(along / Double(d)))
      for i in 0..<d {
        to[i] += factor * (up[i] * gamma[i] - shift - (row[i] - mean) * factor * pull)
      }
    }
  }

  /// The gradient of ``rope(_:n:width:headDim:position:table:out:)``: the turn back.
  static func ropeGradient(
    _ dy: Pointer, n: Int, width: Int, headDim: Int, position: Int, table: Pointer, into: Out
  ) {
    for t in 0..<n {
      let angles = table + (position + t) * headDim
      let (up, to) = (dy + t * width, into + t * width)
      for base in stride(from: 0, to: width, by: headDim) {
        for i in stride(from: 0, to: headDim, by: 2) {
          let (c, s) = (angles[i], angles[i + 1])
          let (a, b) = (up[base + i], up[base + i + 1])
          to[base + i] += a * c + b * s
          to[base + i + 1] += b * c - a * s
        }
      }
    }
  }

  /// The gradients of causal attention over positions `0 ..< n` of caches
  /// `[kvHeads, context, headDim]`; `dk` and `dv` are `[kvHeads, n, headDim]`.
  static func attentionGradient(
    _ q: Pointer, _ dy: Pointer, n: Int, k: Pointer, v: Pointer, context: Int, heads: Int,
    kvHeads: Int, headDim: Int, scale: Float, dq: Out, dk: Out, dv: Out
  ) {
    let (dq, dk, dv) = (SharedPointer(dq), SharedPointer(dk), SharedPointer(dv))
    let group = heads / kvHeads
    // One part per cache head: only it writes that head's gradients.
    Parallel.ranges(kvHeads, grain: 1) { range in
      withUnsafeTemporaryAllocation(of: Float.self, capacity: 2 * n) { room in
        guard let p = room.baseAddress else { return }
        let dp = p + n
        for g in range {
          let (keys, values) = (k + g * context * headDim, v + g * context * headDim)
          let (toK, toV) = (dk.base + g * n * headDim, dv.base + g * n * headDim)
          for h in g * group..<(g + 1) * group {
            for t in 0..<n {
              let query = q + (t * heads + h) * headDim
              let up = dy + (t * heads + h) * headDim
              var top = -Float.infinity
              for j in 0...t {
                p[j] = dot(query, keys + j * headDim, headDim) * scale
                top = max(top, p[j])
              }
              var sum: Float = 0
              for j in 0...t {
                p[j] = expf(p[j] - top)
                sum += p[j]
              }
              var mean: Float = 0
              for j in 0...t {
                p[j] /= sum
                dp[j] = dot(up, values + j * headDim, headDim)
                mean += p[j] * dp[j]
              }
              let to = dq.base + (t * heads + h) * headDim
              for j in 0...t {
                let s = p[j] * (dp[j] - mean) * scale
                let row = j * headDim
                add(keys + row, times: s, to: to, headDim)
                add(query, times: s, to: toK + row, headDim)
                add(up, times: p[j], to: toV + row, headDim)
              }
            }
          }
        }
      }
    }
  }

  /// `out += factor · x`, four numbers at a time, each with the bits it would have alone.
  @inline(__always)
  private static func add(_ x: Pointer, times factor: Float, to out: Out, _ count: Int) {
    var i = 0
    while i + 4 <= count {
      UnsafeMutableRawPointer(out + i).storeBytes(
        of: load(out, i) + load(x, i) * factor, as: Lanes.self)
      i += 4
    }
    while i < count {
      out[i] += factor * x[i]
      i += 1
    }
  }

  /// The gradient of ``silu(_:count:out:)``.
  static func siluGradient(_ x: Pointer, _ dy: Pointer, count: Int, into: Out) {
    let shared = SharedPointer(into)
    Parallel.ranges(count, grain: 32768) { range in
      for i in range {
        let s = 1 / (1 + expf(-x[i]))
        shared.base[i] += dy[i] * (s + x[i] * s * (1 - s))
      }
    }
  }

  /// The gradient of ``gelu(_:count:out:)``.
  static func geluGradient(_ x: Pointer, _ dy: Pointer, count: Int, into: Out) {
    for i in 0..<count {
      let v = x[i]
      let t = tanhf(0.797_884_56 * (v + 0.044_715 * v * v * v))
      let slope = 0.797_884_56 * (1 + 3 * 0.044_715 * v * v)
      into[i] += dy[i] * (0.5 * (1 + t) + 0.5 * v * (1 - t * t) * slope)
    }
  }

  /// The gradient of ``exactGelu(_:count:out:)``: `Φ(x) + x φ(x)`.
  static func exactGeluGradient(_ x: Pointer, _ dy: Pointer, count: Int, into: Out) {
    for i in 0..<count {
      let v = x[i]
      let density = 0.398_942_28 * expf(-0.5 * v * v)
      into[i] += dy[i] * (0.5 * (1 + erff(v * 0.707_106_77)) + v * density)
    }
  }
}
