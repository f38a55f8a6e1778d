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

  /// A table of 512 words of a function, by the page's formula.
  static func tableWords(_ function: (Double) -> Double) -> [UInt32] {
    func base(_ i: Int) -> Int {
      Int(min(max(function(Double(128 * i - 32768)).rounded(), -32768), 32767))
    }
    return (0..<512).map { i in
      UInt32(UInt16(truncatingIfNeeded: base(i)))
        | UInt32(UInt16(truncatingIfNeeded: base(i + 1) - base(i))) << 16
    }
  }

  static let powers = tableWords { $0 <= -32768 ? 0 : 32700 * exp2(($0 - 32759) / 4096) }
  static let reciprocals = tableWords { 536_870_912 / max($0, 16384) }

  /// One head of one row over the cache rows `k` and `v`.
  static func attention(
    q: [Int16], k: [[Int8]], v: [[Int8]], score: (Int32, Int), out: (Int32, Int), bits: Int
  ) -> [Int] {
    let scores = k.map { row in
      let a = zip(q, row).reduce(Wide(0)) { $0 + rshift(Wide($1.0) * Wide($1.1), 7) }
      return Wide(Int32(truncatingIfNeeded: rshift(a * Wide(score.0), score.1)))
    }
    let top = scores.map { sat(rshift($0, 4), bits: 16) }.reduce(-32768, max)
    let e = scores.map { s in
      lut(Int16(sat(s - 16 * Wide(top) + 32759, bits: 16)), powers)
    }
    let total = UInt32(e.reduce(0, +))
    guard total != 0 else { return q.map { _ in 0 } }
    let zeros = total.leadingZeroBitCount
    let u = sat(rshift(Wide(total) << Wide(zeros - 1), 16), bits: 16)
    let r = lut(Int16(u), reciprocals)
    let p = e.map { sat(rshift(Wide($0) * Wide(r), 31 - zeros), bits: 16) }
    return q.indices.map { c in
      let z = zip(p, v).reduce(Wide(0)) { $0 + rshift(Wide($1.0) * Wide($1.1[c]), 7) }
      return sat(rshift(Wide(sat(z, bits: 16)) * Wide(out.0), out.1), bits: bits)
    }
  }

  static func lut(_ x: Int16, _ table: [UInt32]) -> Int {
    let entry = table[(Int(x) + 32768) >> 7]
    let base = Wide(Int16(truncatingIfNeeded: entry))
    let slope = Wide(Int16(truncatingIfNeeded: entry >> 16))
    return sat(base + rshift(slope * Wide(x & 127), 7), bits: 16)
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
