import Containers
import TensorCore

extension KernelCall {
  /// QUANTIZE: float32 or an integer of another scale to an integer.
  ///
  /// Floats are divided in float32 and rounded half away from zero; integers go through the 31-bit
  /// multiplier with two roundings, as in TFLite's reference kernels.
  func quantise() throws(KernelError) -> [UInt8] {
    let source = try input(0)
    let target = try output()
    guard let element = target.type.element, let range = element.integerRange,
      let quant = target.quantisation, quant.axis == nil, quant.scale() > 0
    else { throw KernelError(reason: "output \(target.name) is not quantised by tensor") }
    if source.type.type == .float32 { return target.quantised(try source.floats()) ?? [] }
    let zero = Int(quant.zeroPoint())
    guard let from = source.type.quantisation, from.axis == nil else {
      throw KernelError(reason: "input \(source.type.name) is not quantised by tensor")
    }
    let multiplier = try Rescale(Double(from.scale()) / Double(quant.scale()))
    let fromZero = Int(from.zeroPoint())
    let values = try source.integers().map { value in
      range.limit(multiplier.apply(value &- fromZero) + zero)
    }
    return encode(values, as: element)
  }

  /// DEQUANTIZE: an integer to float32, computed in float32.
  func dequantise() throws(KernelError) -> [UInt8] {
    let source = try input(0)
    guard let quant = source.type.quantisation, quant.axis == nil, try output().type == .float32
    else { throw KernelError(reason: "it is neither quantised by tensor nor to float32") }
    let scale = Double(quant.scale())
    let zero = Int(quant.zeroPoint())
    return try source.integers().flatMap { value in
      withUnsafeBytes(of: Float(scale * Double(value &- zero)).bitPattern.littleEndian, Array.init)
    }
  }
}

extension TFLiteTensor {
  /// Reals as the tensor holds them, as QUANTIZE does it; nil where it is not quantised as a whole.
  public func quantised(_ reals: [Float]) -> [UInt8]? {
    guard let element = type.element, let range = element.integerRange,
      let quant = quantisation, quant.axis == nil, quant.scale() > 0
    else { return nil }
    let (scale, zero) = (quant.scale(), Int(quant.zeroPoint()))
    let values = reals.map { value -> Int in
      let scaled = (value / scale).rounded(.toNearestOrAwayFromZero)
      guard scaled.isFinite else { return scaled > 0 ? range.upperBound : range.lowerBound }
      let limited = min(max(scaled, -0x1p40), 0x1p40)
      return min(max(Int(limited) + zero, range.lowerBound), range.upperBound)
    }
    return encode(values, as: element)
  }
}
