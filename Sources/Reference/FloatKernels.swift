import Foundation

/// The arithmetic of the float interpreter. Every sum has one order, whatever the batch size or the
/// number of cores, so results repeat exactly.
enum FloatKernels {
  typealias Pointer = UnsafePointer<Float>
  typealias Out = UnsafeMutablePointer<Float>
  typealias Lanes = SIMD4<Float>

  /// Four neighbouring numbers.
  @inline(__always)
  static func load(_ p: Pointer, _ i: Int) -> Lanes {
    UnsafeRawPointer(p + i).loadUnaligned(as: Lanes.self)
  }

  /// The sum of the lanes, in pairs.
  @inline(__always)
  static func fold(_ v: Lanes) -> Float { (v[0] + v[1]) + (v[2] + v[3]) }

  /// The inner product of two runs of `k` numbers: four interleaved sums, then the tail.
  @inline(__always)
  static func dot(_ a: Pointer, _ b: Pointer, _ k: Int) -> Float {
    var sum = Lanes.zero
    var i = 0
    while i + 4 <= k {
      sum += load(a, i) * load(b, i)
      i += 4
    }
    var result = fold(sum)
    while i < k {
      result += a[i] * b[i]
      i += 1
    }
    return result
  }

  /// `out [n, m] = x [n, k] · w [m, k]ᵀ + bias`.
  static func linear(
    _ x: Pointer, n: Int, k: Int, w: Pointer, m: Int, bias: Pointer?, out: Out
  ) {
    let work = n * k
    // Parts of about a quarter of a million multiplications, whole tiles of four rows.
    let grain = min(max(4, (262_144 / max(work, 1)) & ~3), 256)
    let tokenBlock = max(2, min(128, 49152 / max(k, 1)) & ~1)
    if n > 1, isWide {
      wideLinear(x, n: n, k: k, w: w, m: m, bias: bias, out: out)
      return
    }
    let shared = SharedPointer(out)
    Parallel.ranges(m, grain: n == 1 ? grain : max(grain, min(64, (16384 / max(k, 1)) & ~3))) {
      rows in
      let out = shared.base
      var first = 0
      while first < n {
        let last = min(first + tokenBlock, n)
        var o = rows.lowerBound
        while o + 4 <= rows.upperBound {
          let w0 = w + o * k
          var t = first
          while t + 2 <= last {
            tile4x2(x + t * k, w0, k, out + t * m + o, m)
            t += 2
          }
          if t < last { tile4x1(x + t * k, w0, k, out + t * m + o) }
          o += 4
        }
        while o < rows.upperBound {
          for t in first..<last { out[t * m + o] = dot(x + t * k, w + o * k, k) }
          o += 1
        }
        first = last
      }
      if let bias {
        for t in 0..<n {
          for o in rows { out[t * m + o] += bias[o] }
        }
      }
    }
  }

  /// Four outputs of two tokens.
  @inline(__always)
  private static func tile4x2(_ x: Pointer, _ w: Pointer, _ k: Int, _ out: Out, _ m: Int) {
    let (x0, x1) = (x, x + k)
    let (w0, w1, w2, w3) = (w, w + k, w + 2 * k, w + 3 * k)
    var (a0, a1, a2, a3) = (Lanes.zero, Lanes.zero, Lanes.zero, Lanes.zero)
    var (b0, b1, b2, b3) = (Lanes.zero, Lanes.zero, Lanes.zero, Lanes.zero)
    var i = 0
    while i + 4 <= k {
      let (p, q) = (load(x0, i), load(x1, i))
      let r0 = load(w0, i)
      a0 += p * r0
      b0 += q * r0
      let r1 = load(w1, i)
      a1 += p * r1
      b1 += q * r1
      let r2 = load(w2, i)
      a2 += p * r2
      b2 += q * r2
      let r3 = load(w3, i)
      a3 += p * r3
      b3 += q * r3
      i += 4
    }
    var (s0, s1, s2, s3) = (fold(a0), fold(a1), fold(a2), fold(a3))
    var (t0, t1, t2, t3) = (fold(b0), fold(b1), fold(b2), fold(b3))
    while i < k {
      s0 += x0[i] * w0[i]
      s1 += x0[i] * w1[i]
      s2 += x0[i] * w2[i]
      s3 += x0[i] * w3[i]
      t0 += x1[i] * w0[i]
      t1 += x1[i] * w1[i]
      t2 += x1[i] * w2[i]
      t3 += x1[i] * w3[i]
      i += 1
    }
    (out[0], out[1], out[2], out[3]) = (s0, s1, s2, s3)
    (out[m], out[m + 1], out[m + 2], out[m + 3]) = (t0, t1, t2, t3)
  }

  /// Four outputs of one token.
  @inline(__always)
  private static func tile4x1(_ x: Pointer, _ w: Pointer, _ k: Int, _ out: Out) {
    let (w0, w1, w2, w3) = (w, w + k, w + 2 * k, w + 3 * k)
    var (a0, a1, a2, a3) = (Lanes.zero, Lanes.zero, Lanes.zero, Lanes.zero)
    var i = 0
    while i + 4 <= k {
      let p = load(x, i)
      a0 += p * load(w0, i)
      a1 += p * load(w1, i)
      a2 += p * load(w2, i)
      a3 += p * load(w3, i)
      i += 4
    }
    var (s0, s1, s2, s3) = (fold(a0), fold(a1), fold(a2), fold(a3))
    while i < k {
      s0 += x[i] * w0[i]
      s1 += x[i] * w1[i]
      s2 += x[i] * w2[i]
      s3 += x[i] * w3[i]
      i += 1
    }
    (out[0], out[1], out[2], out[3]) = (s0, s1, s2, s3)
  }

  /// Root-mean-square norm of each row: the mean in double precision, the rest in float.
  static func rmsNorm(_ x: Pointer, n: Int, d: Int, gamma: Pointer, eps: Float, out: Out) {
    for t in 0..<n {
      let row = x + t * d
      var sum = 0.0
      for i in 0..<d { sum += Double(row[i] * row[i]) }
      let factor = 1 / (Float(sum / Double(d)) + eps).squareRoot()
      for i in 0..<d { out[t * d + i] = row[i] * factor * gamma[i] }
    }
  }

  /// Layer norm of each row.
  static func layerNorm(
    _ x: Pointer, n: Int, d: Int, gamma: Pointer, beta: Pointer, eps: Float, out: Out
  ) {
    for t in 0..<n {
      let row = x + t * d
      var sum = 0.0
      for i in 0..<d { sum += Double(row[i]) }
      let mean = Float(sum / Double(d))
      var squares = 0.0
      for i in 0..<d {
        let centred = row[i] - mean
        squares += Double(centred * centred)
      }
      let factor = 1 / (Float(squares / Double(d)) + eps).squareRoot()
      for i in 0..<d { out[t * d + i] = (row[i] - mean) * factor * gamma[i] + beta[i] }
    }
  }

  /// Rotates neighbouring pairs of each head.
  static func rope(
    _ x: Pointer, n: Int, width: Int, headDim: Int, position: Int, table: Pointer, out: Out
  ) {
    for t in 0..<n {
      let angles = table + (position + t) * headDim
      let row = x + t * width
      let to = out + t * width
      var base = 0
      while base < width {
        var i = 0
        while i < headDim {
          let (c, s) = (angles[i], angles[i + 1])
          let (a, b) = (row[base + i], row[base + i + 1])
          to[base + i] = a * c - b * s
          to[base + i + 1] = a * s + b * c
          i += 2
        }
        base += headDim
      }
    }
  }

  /// Causal attention of `n` rows over caches `[kvHeads, context, headDim]`.
  static func attention(
    _ q: Pointer, n: Int, position: Int, k: Pointer, v: Pointer, context: Int, heads: Int,
    kvHeads: Int, headDim: Int, scale: Float, out: Out
  ) {
    let shared = SharedPointer(out)
    let group = heads / kvHeads
    let length = position + n
    Parallel.ranges(n * heads, grain: max(1, 262_144 / max(length * headDim, 1))) { units in
      withUnsafeTemporaryAllocation(of: Float.self, capacity: length) { weights in
        guard let p = weights.baseAddress else { return }
        for unit in units {
          let (t, h) = (unit / heads, unit % heads)
          let count = position + t + 1
          let cache = (h / group) * context * headDim
          let query = q + (t * heads + h) * headDim
          var top = -Float.infinity
          for j in 0..<count {
            let score = dot(query, k + cache + j * headDim, headDim) * scale
            p[j] = score
            top = max(top, score)
          }
          var sum = 0.0
          for j in 0..<count {
            p[j] = expf(p[j] - top)
            sum += Double(p[j])
          }
          let to = shared.base + (t * heads + h) * headDim
          for i in 0..<headDim { to[i] = 0 }
          let factor = Float(1 / sum)
          for j in 0..<count {
            let weight = p[j] * factor
            let row = v + cache + j * headDim
            for i in 0..<headDim { to[i] += weight * row[i] }
          }
        }
      }
    }
  }

  /// `x / (1 + exp(-x))`.
  static func silu(_ x: Pointer, count: Int, out: Out) {
    let shared = SharedPointer(out)
    Parallel.ranges(count, grain: 32768) { range in
      for i in range { shared.base[i] = x[i] / (1 + expf(-x[i])) }
    }
  }

  /// The tanh form of the Gaussian error linear unit.
  static func gelu(_ x: Pointer, count: Int, out: Out) {
    for i in 0..<count {
      let v = x[i]
      out[i] = 0.5 * v * (1 + tanhf(0.797_884_56 * (v + 0.044_715 * v * v * v)))
    }
  }

  /// The Gaussian error linear unit itself, by the error function.
  static func exactGelu(_ x: Pointer, count: Int, out: Out) {
    for i in 0..<count { out[i] = 0.5 * x[i] * (1 + erff(x[i] * 0.707_106_77)) }
  }
}
