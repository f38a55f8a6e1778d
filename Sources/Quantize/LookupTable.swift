import Foundation

/// Tables for the 16-bit interpolating look-up (`Docs/Numerics.md`, `lut`).
public enum LookupTable {
  /// The 512 entries of `function`: input steps of `inputScale`, output steps of `outputScale`.
  public static func entries(
    inputScale: Float, outputScale: Float, _ function: (Double) -> Double
  ) -> [UInt32] {
    func base(_ i: Int) -> Int {
      let x = Double(128 * i - 32768) * Double(inputScale)
      let y = (function(x) / Double(outputScale)).rounded(.toNearestOrAwayFromZero)
      return Int(min(max(y, -32768), 32767))
    }
    return (0..<512).map { i in
      let from = base(i)
      let slope = min(max(base(i + 1) - from, -32768), 32767)
      return UInt32(UInt16(truncatingIfNeeded: from))
        | UInt32(UInt16(truncatingIfNeeded: slope)) << 16
    }
  }

  /// `x / (1 + e^-x)`.
  public static func silu(_ x: Double) -> Double { x / (1 + exp(-x)) }

  /// The tanh form of the Gaussian error linear unit.
  public static func gelu(_ x: Double) -> Double {
    0.5 * x * (1 + tanh(0.797_884_560_802_865_4 * (x + 0.044_715 * x * x * x)))
  }

  /// The Gaussian error linear unit itself, by the error function.
  public static func exactGelu(_ x: Double) -> Double {
    0.5 * x * (1 + erf(x * 0.5.squareRoot()))
  }
}
