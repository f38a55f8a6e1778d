import Containers
import TensorCore

/// A multiplier as TFLite's integer kernels apply it.
///
/// Source: TFLite Micro, `quantization_util.cc` (QuantizeMultiplier) and `common.cc`
/// (MultiplyByQuantizedMultiplier).
struct Rescale {
  private let scale: FixedScale
  private let rounding: RoundingMode

  /// The multiplier for `real`: 31 bits and two roundings, or 15 bits and one for `wide` (64-bit)
  /// accumulators. Multipliers below 2^-32 are zero, as in TFLite.
  init(_ real: Double, wide: Bool = false) throws(KernelError) {
    guard let scale = wide ? FixedScale.reduced(real: real) : FixedScale(real: real) else {
      throw KernelError(reason: "a quotient of scales is \(real), which no multiplier can hold")
    }
    // TFLite gives up below 2^-32; only the 31-bit form's shift tells where that is.
    self.scale = real < 0x1p-32 ? FixedScale(multiplier: 0, shift: 0) : scale
    rounding = wide ? .natural : .doubleSymmetric
  }

  /// The scaled value, within 40 bits: more is out of every output's range.
  @inline(__always)
  func apply(_ value: Int) -> Int {
    let scaled = scale.apply(Int64(truncatingIfNeeded: value), rounding: rounding)
    return Int(min(max(scaled, -1 << 40), 1 << 40))
  }
}

extension TFLiteTensor {
  /// Scale and zero point of an 8- or 16-bit tensor that has one of each.
  func perTensor() throws(KernelError) -> (scale: Float, zero: Int) {
    guard let quantisation, quantisation.axis == nil, quantisation.scale() > 0 else {
      throw KernelError(reason: "tensor \(name) is not quantised by tensor")
    }
    let zero = Int(quantisation.zeroPoint())
    guard let element = type.element, element.byteCount <= 2, let range = element.integerRange
    else {
      throw KernelError(reason: "tensor \(name) is \(type), which has no kernel here")
    }
    guard range.contains(zero) else {
      throw KernelError(reason: "the zero point of tensor \(name) is no value of its type")
    }
    return (quantisation.scale(), zero)
  }

  /// The values an integer tensor can hold.
  func range() throws(KernelError) -> ClosedRange<Int> {
    guard let range = type.element?.integerRange else {
      throw KernelError(reason: "tensor \(name) is \(type), which has no kernel here")
    }
    return range
  }
}

extension TFLiteActivation {
  /// The stored values that an activation lets through, given the output's quantisation.
  func clamp(_ output: TFLiteTensor) throws(KernelError) -> ClosedRange<Int> {
    let range = try output.range()
    let bounds: (Float, Float)
    switch self {
    case .none: return range
    case .relu: bounds = (0, .infinity)
    case .relu6: bounds = (0, 6)
    case .reluN1To1: bounds = (-1, 1)
    default: throw KernelError(reason: "activation \(self) is fused into it")
    }
    return try realRange(bounds.0, bounds.1, of: output)
  }
}

/// The stored values that stand for reals from `low` to `high`; an infinite bound is the type's.
func realRange(_ low: Float, _ high: Float, of output: TFLiteTensor) throws(KernelError)
  -> ClosedRange<Int>
{
  let range = try output.range()
  let (scale, zero) = try output.perTensor()
  func stored(_ real: Float) -> Int {
    let steps = (real / scale).rounded(.toNearestOrAwayFromZero)
    return Int(min(max(steps, -0x1p40), 0x1p40)) + zero
  }
  let lower = max(range.lowerBound, low.isFinite ? stored(low) : range.lowerBound)
  let upper = min(range.upperBound, high.isFinite ? stored(high) : range.upperBound)
  // Both bounds can lie on one side of the type's range.
  let first = min(lower, range.upperBound)
  return first...max(first, upper)
}

extension ClosedRange<Int> {
  /// The nearest value within.
  @inline(__always)
  func limit(_ value: Int) -> Int { Swift.min(Swift.max(value, lowerBound), upperBound) }
}
