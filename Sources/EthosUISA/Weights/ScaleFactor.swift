import Foundation

/// A real factor as the hardware applies it: `value * multiplier / 2^shift`.
public struct ScaleFactor: Sendable, Hashable {
  /// The multiplier.
  public let multiplier: UInt32
  /// The right shift, 0…63.
  public let shift: Int

  /// The pair for a positive factor, as Arm's compiler derives it: 31 significant bits, rounded half
  /// away from zero; factors too small for the shift lose bits and end at (0, 0).
  ///
  /// - Parameters:
  ///   - scale: the factor; zero, negative or not finite gives (0, 0).
  ///   - isReduced: a multiplier of 15 bits, the rule for int16 inputs with 64-bit biases.
  public init(_ scale: Double, isReduced: Bool = false) {
    guard scale > 0, scale.isFinite else {
      multiplier = 0
      shift = 0
      return
    }
    var (mantissa, exponent) = (scale.significand / 2, Int(scale.exponent) + 1)
    var factor = Int64((mantissa * 0x1p31).rounded(.toNearestOrAwayFromZero))
    if factor == 1 << 31 {
      mantissa = 0.5
      factor = 1 << 30
      exponent += 1
    }
    var shift = 31 - exponent
    if isReduced {
      factor = min((factor >> 16) + ((factor >> 15) & 1), 0x7FFF)
      shift -= 16
    }
    if shift > 63 {
      let excess = shift - 63
      if excess < 62 && factor > 1 << Int64(excess) {
        factor >>= Int64(excess)
        shift = 63
      } else {
        factor = 0
        shift = 0
      }
    } else if shift < 0 {
      // Only small factors above 2^31 can be saved; the others saturate.
      if shift > -32 && factor < 1 << Int64(shift + 32) {
        factor <<= Int64(-shift)
      } else {
        factor = isReduced ? 0x7FFF : 0x7FFF_FFFF
      }
      shift = 0
    }
    multiplier = UInt32(truncatingIfNeeded: factor)
    self.shift = shift
  }

  /// The factor of a TFLite operation, `input * weight / output`.
  ///
  /// - Parameter roundsProduct: the product of input and weight scale is rounded to float32 first,
  ///   as for uint8 inputs and for fully connected layers with one weight scale.
  public static func tflite(
    input: Float, weight: Float, output: Float, roundsProduct: Bool, isReduced: Bool = false
  ) -> ScaleFactor {
    let product = roundsProduct ? Double(input * weight) : Double(input) * Double(weight)
    return ScaleFactor(product / Double(output), isReduced: isReduced)
  }
}
