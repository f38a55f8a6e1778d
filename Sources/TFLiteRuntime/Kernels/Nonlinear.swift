import Containers
import Foundation
import NPUSim
import TensorCore

/// Curved functions of one tensor.
extension KernelCall {
  /// LOGISTIC and TANH: fixed point for int8 (TFLite Micro), a table for uint8 (LiteRT), the
  /// interpolated sigmoid table for int16.
  func curve(isTanh: Bool) throws(KernelError) -> [UInt8] {
    let source = try input(0)
    switch source.type.type {
    case .int8: return try curve8(source, isTanh: isTanh)
    case .int16: return try curve16(source, isTanh: isTanh)
    default:
      return try tabulated { isTanh ? tanhf($0) : 1 / (1 + expf(-$0)) }
    }
  }

  /// The output's quantisation is fixed: 1/256 and -128, or 1/128 and 0.
  private func curve8(_ source: KernelTensor, isTanh: Bool) throws(KernelError) -> [UInt8] {
    let (inputScale, inputZero) = try source.type.perTensor()
    let scale = Double(inputScale) * 0x1p27
    let rescale = try Rescale(scale)
    let radius = FixedPointFunctions.inputRadius(bits: 4, leftShift: Int(scale.exponent) + 1)
    return try map(source) { stored in
      let value = stored - inputZero
      if value <= -radius { return -128 }
      if value >= radius { return 127 }
      let raw = Int32(truncatingIfNeeded: rescale.apply(value))
      let result =
        isTanh
        ? FixedPointFunctions.divide(FixedPointFunctions.tanh(raw), powerOfTwo: 24)
        : FixedPointFunctions.divide(FixedPointFunctions.logistic(raw), powerOfTwo: 23) - 128
      return (-128...127).limit(Int(result))
    }
  }

  /// Inputs become multiples of 1/12288, which the table's interpolation takes.
  private func curve16(_ source: KernelTensor, isTanh: Bool) throws(KernelError) -> [UInt8] {
    let (inputScale, inputZero) = try source.type.perTensor()
    guard inputZero == 0 else { throw KernelError(reason: "16-bit tensors have zero points") }
    let power = log2f(inputScale)
    let rounded = power.rounded(.toNearestOrAwayFromZero)
    let up = 12 + Int(rounded)
    let multiplier: Int
    let shift: Int
    if abs(power - rounded) < 1e-3, up == 0 || (isTanh && up == 1) {
      multiplier = 3 << up
      shift = 0
    } else {
      var real = Double(inputScale) * 12288
      var steps = 0
      while real <= 32767.0 / 2, steps <= 30 {
        steps += 1
        real *= 2
      }
      guard real < 0x1p31 else { throw KernelError(reason: "its input scale is \(inputScale)") }
      multiplier = Int(real)
      shift = steps
    }
    let half = shift > 0 ? 1 << (shift - 1) : 0
    return try SigmoidTable.values.withUnsafeBufferPointer { table throws(KernelError) in
      try map(source) { stored in
        let value = Int64((stored * multiplier + half) >> shift)
        return Int(
          isTanh ? SigmoidTable.tanh(value, table) : SigmoidTable.sigmoid(value, table))
      }
    }
  }

  /// GELU, exact or by its approximation with a hyperbolic tangent.
  func gelu() throws(KernelError) -> [UInt8] {
    guard case .gelu(let isApproximate) = op.options else {
      throw KernelError(reason: "its options are missing")
    }
    let inner = Float(2 / Double.pi).squareRoot()
    return try tabulated { x in
      isApproximate
        ? 0.5 * x * (1 + tanhf(inner * (x + 0.044715 * x * x * x)))
        : 0.5 * x * (1 + erff(x * Float(0.5).squareRoot()))
    }
  }

  /// A function of the real value, by a table computed in float32 as LiteRT does: one entry for each
  /// 8-bit input, 513 points for 16-bit ones.
  func tabulated(_ f: (Float) -> Float) throws(KernelError) -> [UInt8] {
    let source = try input(0)
    let target = try output()
    let (inputScale, inputZero) = try source.type.perTensor()
    let (outputScale, outputZero) = try target.perTensor()
    let from = try source.type.range()
    let range = try target.range()
    if source.type.type == .int16, target.type == .int16, inputZero == 0, outputZero == 0 {
      let table = WideTable(inputScale: inputScale, zero: 0, outputScale: outputScale, f)
      return try map(source) { table[$0] }
    }
    guard from.count == 256, source.type.type == target.type else {
      throw KernelError(reason: "no kernel takes \(source.type.type)")
    }
    let inverse = 1 / outputScale
    let table = from.map { stored -> Int in
      let real = f(inputScale * Float(stored - inputZero))
      let steps = (real * inverse).rounded(.toNearestOrAwayFromZero)
      guard !steps.isNaN else { return range.lowerBound }
      return range.limit(Int(min(max(steps, -0x1p30), 0x1p30)) + outputZero)
    }
    return try map(source) { table[$0 - from.lowerBound] }
  }
}
