import Foundation

/// Scores are sums of products of queries and keys, divided by a power of two (`Docs/Numerics.md`,
/// attention): the scale of the queries is chosen so that nothing else is left to multiply.
enum ScorePower {
  /// Scores have 8 fraction bits, in powers of two: what a product of real numbers counts for, with the
  /// attention's own `factor`.
  static func unit(_ factor: Double) -> Double { factor * 1.442_695_040_888_963_4 * 0x1p8 }

  /// The least power of two, as an exponent, that a product may be worth with queries of a scale not below
  /// `wanted`; nil without keys.
  static func exponent(atLeast wanted: Float, keyScale: Float, factor: Double) -> Double? {
    let worth = Double(keyScale) * unit(factor)
    guard worth > 0, worth.isFinite, wanted > 0 else { return nil }
    return min(max(log2(Double(wanted) * worth).rounded(.up), -62), 0)
  }

  /// The queries' scale that makes a product worth `exp2(exponent)`.
  static func queryScale(exponent: Double, keyScale: Float, factor: Double) -> Float {
    Float(exp2(exponent) / (Double(keyScale) * unit(factor)))
  }

  /// The shift that divides by a product's worth; nil when that is no power of two but for the rounding of
  /// 32-bit scales, or out of range.
  static func shift(of worth: Double) -> Int? {
    guard worth > 0, worth.isFinite else { return nil }
    let exponent = -log2(worth)
    let shift = exponent.rounded()
    guard abs(exponent - shift) < 1e-5, (0...62).contains(shift) else { return nil }
    return Int(shift)
  }
}
