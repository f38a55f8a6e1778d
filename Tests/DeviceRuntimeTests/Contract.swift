import Foundation

/// Docs/Numerics.md once more, in wide arithmetic and without any thought of speed, so that the C
/// code is measured against the page and not against itself.
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

  /// The table E by its formula.
  static let table: [Wide] = (0...256).map { Wide(exp2(15 - Double($0) / 256).rounded()) }

  /// The weight of a distance below the maximum.
  static func weight(_ distance: Wide, multiplier: Int32, shift: Int) -> Wide {
    let u = min(rshift(distance * Wide(multiplier), shift), 65536)
    let i = Int(u >> 12)
    let b = Int((u & 4095) >> 4)
    let y = table[b] - ((table[b] - table[b + (b < 256 ? 1 : 0)]) * (u & 15) + 8) >> 4
    return i > 15 ? 0 : rshift(y, i)
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
