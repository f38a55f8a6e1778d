import Containers
import TensorCore

/// Piecewise linear functions of one tensor.
extension KernelCall {
  /// RELU, RELU6, RELU_N1_TO_1 and RELU_0_TO_1 with rescaling.
  func rectified(_ low: Float, _ high: Float) throws(KernelError) -> [UInt8] {
    let source = try input(0)
    let target = try output()
    let (inputScale, inputZero) = try source.type.perTensor()
    let (outputScale, outputZero) = try target.perTensor()
    let scale = try Rescale(Double(inputScale / outputScale))
    let range = try realRange(low, high, of: target)
    return try map(source) { range.limit(scale.apply($0 - inputZero) + outputZero) }
  }

  /// LEAKY_RELU: its own multiplier below zero.
  func leaky() throws(KernelError) -> [UInt8] {
    guard case .leakyRelu(let alpha) = op.options else {
      throw KernelError(reason: "its options are missing")
    }
    let source = try input(0)
    let target = try output()
    let (inputScale, inputZero) = try source.type.perTensor()
    let (outputScale, outputZero) = try target.perTensor()
    guard alpha >= 0 else { throw KernelError(reason: "its slope is negative") }
    let above = try Rescale(Double(inputScale / outputScale))
    let below = try Rescale(Double(inputScale * alpha / outputScale))
    let range = try target.range()
    return try map(source) { stored in
      let value = stored - inputZero
      return range.limit((value >= 0 ? above : below).apply(value) + outputZero)
    }
  }

  /// PRELU: a slope for each channel.
  func prelu() throws(KernelError) -> [UInt8] {
    let source = try input(0)
    let slopes = try input(1)
    let target = try output()
    let (inputScale, inputZero) = try source.type.perTensor()
    let (slopeScale, slopeZero) = try slopes.type.perTensor()
    let (outputScale, outputZero) = try target.perTensor()
    guard let element = target.type.element, source.type.type == target.type else {
      throw KernelError(reason: "its tensors differ in type")
    }
    let above = try Rescale(Double(inputScale / outputScale))
    let below = try Rescale(Double(inputScale * slopeScale / outputScale))
    let range = try target.range()
    let x = try source.integers()
    let alpha = try slopes.integers()
    let xs = try broadcast(source.type.shape, to: target.shape)
    let alphas = try broadcast(slopes.type.shape, to: target.shape)
    let values = xs.indices.map { i in
      let value = x[xs[i]] - inputZero
      let scaled =
        value >= 0
        ? above.apply(value) : below.apply(value * (alpha[alphas[i]] - slopeZero))
      return range.limit(scaled + outputZero)
    }
    return encode(values, as: element)
  }

  /// HARD_SWISH of int8 and uint8 in 16-bit fixed point with 7 fraction bits more than the input.
  func hardSwish() throws(KernelError) -> [UInt8] {
    let source = try input(0)
    let target = try output()
    let (inputScale, inputZero) = try source.type.perTensor()
    let (outputScale, outputZero) = try target.perTensor()
    let fine = 1 / Float(128) * inputScale
    let toOutput = try NarrowMultiplier(Double(fine / outputScale))
    let toThird = try NarrowMultiplier(Double(fine / (3 / Float(32768))))
    guard toOutput.exponent <= 0 else {
      throw KernelError(reason: "its output scale is below 1/128 of its input's")
    }
    let range = try target.range()
    return try map(source) { stored in
      let value = Int(Int16(truncatingIfNeeded: (stored - inputZero) << 7))
      let scaled = NarrowMultiplier.multiply(value, toOutput.factor)
      var gate = value
      if toThird.exponent > 0 {
        gate = Int(Int16(clamping: gate << (toThird.exponent - 1)))
      }
      gate = NarrowMultiplier.multiply(gate, toThird.factor)
      if toThird.exponent > 0 { gate = Int(Int16(clamping: gate << 1)) }
      if toThird.exponent < 0 { gate = NarrowMultiplier.divide(gate, -toThird.exponent) }
      gate = (gate + (1 << 15)) >> 1
      // The last product discards its fraction towards zero.
      let product = gate * scaled / (1 << 15)
      return range.limit(NarrowMultiplier.divide(product, -toOutput.exponent) + outputZero)
    }
  }

  /// RSQRT of int8: the root of the stored number by Newton's method, then one multiplier.
  func inverseRoot() throws(KernelError) -> [UInt8] {
    let source = try input(0)
    let target = try output()
    guard source.type.type == .int8 else {
      throw KernelError(reason: "no kernel takes \(source.type.type)")
    }
    let (inputScale, inputZero) = try source.type.perTensor()
    let (outputScale, outputZero) = try target.perTensor()
    // The root keeps 20 bits of fraction between its two multipliers.
    let scale = try Rescale(0x1p-20 / (Double(inputScale.squareRoot()) * Double(outputScale)))
    let range = try target.range()
    guard try source.integers().allSatisfy({ $0 >= inputZero }) else {
      throw KernelError(reason: "a number is negative")
    }
    return try map(source) { stored in
      let value = stored - inputZero
      guard value > 0 else { return range.upperBound }
      return range.limit(
        scale.apply(FixedPointFunctions.inverseRoot(of: Int32(value))) + outputZero)
    }
  }

  /// ABS and NEG of int8, int16 and int32; scales count.
  func sign(isAbsolute: Bool) throws(KernelError) -> [UInt8] {
    let source = try input(0)
    let target = try output()
    let f: (Int) -> Int = { isAbsolute && $0 >= 0 ? $0 : 0 &- $0 }
    guard source.type.quantisation != nil, target.quantisation != nil else {
      return try map(source, f)
    }
    let (inputScale, inputZero) = try source.type.perTensor()
    let (outputScale, outputZero) = try target.perTensor()
    let range = try target.range()
    if isAbsolute {
      let scale = try Rescale(Double(inputScale / outputScale))
      return try map(source) { range.limit(scale.apply(abs($0 - inputZero)) + outputZero) }
    }
    guard inputScale == outputScale, inputZero == outputZero else {
      throw KernelError(reason: "its input and output differ in quantisation")
    }
    return try map(source) { range.limit(2 * inputZero - $0) }
  }

  /// LOGICAL_NOT.
  func not() throws(KernelError) -> [UInt8] { try map(try input(0)) { $0 == 0 ? 1 : 0 } }

  /// CAST between integers, truth values and float32; integers wrap.
  func cast() throws(KernelError) -> [UInt8] {
    let source = try input(0)
    let target = try output()
    if target.type == .float32 {
      let numbers =
        source.type.type == .float32 ? try source.floats() : try source.integers().map(Float.init)
      return numbers.flatMap { withUnsafeBytes(of: $0.bitPattern.littleEndian, Array.init) }
    }
    guard let element = target.type.element, element.isInteger || element == .bool else {
      throw KernelError(reason: "no kernel makes \(target.type)")
    }
    let values =
      source.type.type == .float32
      ? try source.floats().map { $0.isFinite ? Int(min(max($0, -0x1p62), 0x1p62)) : 0 }
      : try source.integers()
    return encode(element == .bool ? values.map { $0 == 0 ? 0 : 1 } : values, as: element)
  }

  /// A function of each stored value.
  func map(_ source: KernelTensor, _ f: (Int) -> Int) throws(KernelError) -> [UInt8] {
    let target = try output()
    guard let element = target.type.element, element.isInteger || element == .bool,
      source.type.shape.count == target.shape.count
    else { throw KernelError(reason: "its output is \(target.type) of \(target.shape)") }
    let values = try source.integers()
    return encode(values.map(f), as: element)
  }
}

/// A 15-bit multiplier and a power of two: `factor / 2^15 * 2^exponent`.
struct NarrowMultiplier {
  /// 15 bits of the multiplier.
  let factor: Int
  /// The power of two.
  let exponent: Int

  /// Rounds the 31-bit form of `real`, as TFLite's HARD_SWISH does.
  init(_ real: Double) throws(KernelError) {
    guard real.isFinite, real > 0x1p-30, real < 0x1p14 else {
      throw KernelError(reason: "a quotient of scales is \(real)")
    }
    var exponent = Int(real.exponent) + 1
    var wide = Int((real.significand * 0x1p30).rounded(.toNearestOrAwayFromZero))
    if wide == 1 << 31 {
      wide >>= 1
      exponent += 1
    }
    factor = min((wide + (1 << 15)) >> 16, 32767)
    self.exponent = exponent
  }

  /// `a * b * 2^-15`, halves away from zero below and up above.
  @inline(__always)
  static func multiply(_ a: Int, _ b: Int) -> Int {
    let product = a * b
    return (product + (product >= 0 ? 1 << 14 : 1 - (1 << 14))) / (1 << 15)
  }

  /// `a / 2^exponent`, halves away from zero.
  @inline(__always)
  static func divide(_ a: Int, _ exponent: Int) -> Int {
    guard exponent > 0 else { return a }
    return (a + (1 << (exponent - 1)) - (a < 0 ? 1 : 0)) >> exponent
  }
}
