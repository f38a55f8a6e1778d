import Foundation

/// Docs/Numerics.md once more, in wide arithmetic and without any thought of speed, so that the C
/// kernels are measured against the page and not against themselves.
enum Contract {
  typealias Wide = Int128

  /// The floor shift, by division.
  static func floorShift(_ v: Wide, _ s: Int) -> Wide {
    let unit: Wide = 1 << Wide(s)
    let quotient = v / unit
    return v % unit < 0 ? quotient - 1 : quotient
  }

  static func rshift(_ v: Wide, _ s: Int) -> Wide {
    s == 0 ? v : floorShift(v + (1 << Wide(s - 1)), s)
  }

  static func clamp(_ v: Wide, _ low: Wide, _ high: Wide) -> Int { Int(min(max(v, low), high)) }

  /// `sat8` or `sat16`.
  static func sat(_ v: Wide, bits: Int) -> Int {
    clamp(v, -(1 << Wide(bits - 1)), (1 << Wide(bits - 1)) - 1)
  }

  static func embedding(row: [Int8], multiplier: Int32, shift: Int) -> [Int32] {
    row.map { Int32(truncatingIfNeeded: rshift(Wide($0) * Wide(multiplier), shift)) }
  }

  static func rmsNorm(row: [Int32], gamma: [Int32], shift: Int, eps: UInt64, bits: Int) -> [Int] {
    let limit: Wide = (1 << 64) - 1
    var largest: Wide = 0
    for x in row { largest = max(largest, abs(Wide(x))) }
    var length = 0
    while largest >> Wide(length) != 0 { length += 1 }
    let p = max(0, length - 24)
    var sum: Wide = 0
    for x in row {
      let small = floorShift(Wide(x), p)
      sum = min(sum + small * small, limit)
    }
    let mean = sum / Wide(row.count)
    let v = max(1, min(mean + Wide(eps) >> Wide(2 * p), limit))
    let j = UInt64(v).leadingZeroBitCount / 2
    let u = v << Wide(2 * j)
    var root: Wide = 0
    for bit in (0..<32).reversed() {
      let next = root + (1 << Wide(bit))
      if next * next <= u { root = next }
    }
    let r = (Wide(1) << 62) / root
    return zip(row, gamma).map { x, g in
      let normal = rshift(Wide(x) * r, 40 - j + p)
      return sat(rshift(normal * Wide(g), shift), bits: bits)
    }
  }

  static func rope(_ x0: Int16, _ x1: Int16, cos c: Int16, sin s: Int16) -> (Int, Int) {
    (
      sat(rshift(Wide(x0) * Wide(c) - Wide(x1) * Wide(s), 14), bits: 16),
      sat(rshift(Wide(x0) * Wide(s) + Wide(x1) * Wide(c), 14), bits: 16)
    )
  }

  static func kvWrite(_ x: Int16, offset: Int16, multiplier: Int32, shift: Int32) -> Int {
    clamp(rshift((Wide(x) - Wide(offset)) * Wide(multiplier), Int(shift)), -127, 127)
  }

  /// The table E by its formula.
  static let table: [Wide] = (0...256).map { Wide(exp2(15 - Double($0) / 256).rounded()) }

  /// Steps 2 and 3 of attention: the weight of a distance below the maximum.
  static func weight(_ distance: Wide, multiplier: Int32, shift: Int) -> Wide {
    let u = min(rshift(distance * Wide(multiplier), shift), 65536)
    let i = Int(u >> 12)
    let b = Int((u & 4095) >> 4)
    let y = table[b] - ((table[b] - table[b + (b < 256 ? 1 : 0)]) * (u & 15) + 8) >> 4
    return i > 15 ? 0 : rshift(y, i)
  }

  /// One head of one row over the cache rows `k` and `v`.
  static func attention(
    q: [Int16], k: [[Int8]], v: [[Int8]], exp: (Int32, Int32), out: (Int32, Int32), bits: Int
  ) -> [Int] {
    let scores = k.map { row in zip(q, row).reduce(Wide(0)) { $0 + Wide($1.0) * Wide($1.1) } }
    let top = scores.reduce(scores[0], max)
    let e = scores.map { weight(top - $0, multiplier: exp.0, shift: Int(exp.1)) }
    let r = (Wide(1) << 45) / e.reduce(0, +)
    return q.indices.map { c in
      let z = zip(e, v).reduce(Wide(0)) { $0 + $1.0 * Wide($1.1[c]) }
      return sat(rshift(rshift(z * r, 22) * Wide(out.0), Int(out.1)), bits: bits)
    }
  }

  static func lut(_ x: Int16, _ table: [UInt32]) -> Int {
    let entry = table[(Int(x) + 32768) >> 7]
    let base = Wide(Int16(truncatingIfNeeded: entry))
    let slope = Wide(Int16(truncatingIfNeeded: entry >> 16))
    return sat(base + rshift(slope * Wide(x & 127), 7), bits: 16)
  }

  static func mul(_ a: Int16, _ b: Int16, multiplier: UInt32, shift: Int, bits: Int) -> Int {
    sat(rshift(Wide(a) * Wide(b) * Wide(multiplier), shift), bits: bits)
  }

  /// Sampling with a temperature, the random number given.
  static func sample(_ logits: [Int16], factor: (Int32, Int), draw: UInt64) -> Int {
    let top = Wide(logits.reduce(.min, max))
    let e = logits.map { weight(top - Wide($0), multiplier: factor.0, shift: factor.1) }
    let threshold = (e.reduce(0, +) * Wide(draw >> 32)) >> 32
    var running: Wide = 0
    for (i, weight) in e.enumerated() {
      running += weight
      if running > threshold { return i }
    }
    return -1
  }
}
