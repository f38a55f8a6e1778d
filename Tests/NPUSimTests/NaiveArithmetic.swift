/// The arithmetic of the output and operand stages, one value at a time with wide integers.
enum NaiveArithmetic {
  static func scale(
    _ x: Int, multiplier: UInt32, shift: Int, rounding: Int, doubleRound d: Int = 0
  ) -> Int {
    let product = Int128(x) * Int128(multiplier)
    var term: Int128 = 0
    if shift > 0 {
      switch rounding {
      case 0:
        term = Int128(1) << (shift - 1)
        if shift > 31 - d {
          term += product >= 0 ? Int128(1) << (30 - d) : -(Int128(1) << (30 - d))
        }
      case 1: term = product < 0 ? (Int128(1) << shift) - 1 : 0
      default: term = Int128(1) << (shift - 1)
      }
    }
    return Int(truncatingIfNeeded: (product + term) >> shift)
  }

  static func divideHalfAway(_ v: Int, _ n: Int) -> Int {
    let magnitude = (2 * abs(v) + n) / (2 * n)
    return v < 0 ? -magnitude : magnitude
  }
}
