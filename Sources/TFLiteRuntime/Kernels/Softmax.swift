import Containers
import Foundation
import TensorCore

/// SOFTMAX over the last axis.
extension KernelCall {
  /// SOFTMAX: fixed-point exponentials for 8-bit inputs, interpolated tables for 16-bit ones.
  func softmax() throws(KernelError) -> [UInt8] {
    guard case .softmax(let beta) = op.options else {
      throw KernelError(reason: "its options are missing")
    }
    let source = try input(0)
    let target = try output()
    guard let depth = source.type.shape.dimensions.last, depth > 0,
      source.type.shape == target.shape, let element = target.type.element, beta.isFinite, beta > 0
    else { throw KernelError(reason: "its shapes do not fit") }
    let (scale, _) = try source.type.perTensor()
    let values = try source.integers()
    let rows: ([Int]) -> [Int]
    if source.type.type == .int16, target.type == .int16 {
      rows = try wideRow(scale: scale, beta: beta)
    } else {
      rows = try narrowRow(scale: scale, beta: beta, range: try target.range())
    }
    var result: [Int] = []
    result.reserveCapacity(values.count)
    for start in stride(from: 0, to: values.count, by: depth) {
      result += rows(Array(values[start..<start + depth]))
    }
    return encode(result, as: element)
  }

  /// A row of 8-bit inputs: differences to the maximum with five integer bits.
  private func narrowRow(scale: Float, beta: Float, range: ClosedRange<Int>) throws(KernelError)
    -> ([Int]) -> [Int]
  {
    let real = min(Double(beta) * Double(scale) * 0x1p26, 0x1p31 - 1)
    let rescale = try Rescale(real)
    let radius = FixedPointFunctions.inputRadius(bits: 5, leftShift: Int(real.exponent) + 1)
    let width = range.count == 256 ? 8 : 16
    return { row in
      let top = row.max() ?? 0
      let powers = row.map { value -> Int32? in
        guard value - top >= -radius else { return nil }
        return FixedPointFunctions.exp(
          Int32(truncatingIfNeeded: rescale.apply(value - top)), integerBits: 5)
      }
      var sum: Int32 = 0
      for power in powers {
        if let power { sum &+= FixedPointFunctions.divide(power, powerOfTwo: 12) }
      }
      let headroom = sum.leadingZeroBitCount
      let mantissa = UInt32(truncatingIfNeeded: sum) << UInt32(headroom)
      let share = FixedPointFunctions.reciprocalOfOnePlus(
        Int32(truncatingIfNeeded: mantissa &- (1 << 31)))
      let exponent = 12 - headroom + 31 - width
      return powers.map { power in
        guard let power else { return range.lowerBound }
        let product = FixedPointFunctions.multiply(share, power)
        return range.limit(
          Int(FixedPointFunctions.divide(product, powerOfTwo: exponent)) + range.lowerBound)
      }
    }
  }

  /// A row of 16-bit inputs: `exp` over -10...0 and `1 / (1 + x)` over 0...1 by tables.
  private func wideRow(scale: Float, beta: Float) throws(KernelError) -> ([Int]) -> [Int] {
    let rescale = try Rescale(Double(scale) * Double(beta) / (10.0 / 65535.0))
    let powers = WideTable(inputScale: 10 / 65535, zero: 32767, outputScale: 2 / 65535, expf)
    let reciprocals = WideTable(inputScale: 1 / 65535, zero: -32768, outputScale: 2 / 65535) {
      1 / (1 + $0)
    }
    let int16 = -32768...32767
    return { row in
      let top = row.max() ?? 0
      let parts = row.map { powers[int16.limit(rescale.apply($0 - top) + 32767)] }
      let sum = parts.reduce(0, &+)
      guard sum > 0 else { return parts }
      let headroom = Int32(truncatingIfNeeded: sum).leadingZeroBitCount
      let shifted = ((sum << (headroom - 1)) + (1 << 13)) >> 14
      let share = reciprocals[int16.limit(shifted - (1 << 15) - (1 << 16))]
      let shift = 31 - headroom
      let half = shift > 0 ? 1 << (shift - 1) : 0
      return parts.map { (0...32767).limit(($0 * share + half) >> shift) }
    }
  }
}

/// A function over the 16-bit range by 513 values and straight lines between them.
///
/// Each value is moved by half the error that the line has at its middle (TFLite, `LUTPopulate`).
struct WideTable {
  private var values: [Int] = []

  /// Tabulates `f` for codes of `inputScale` and `zero` as codes of `outputScale`, in float32.
  init(inputScale: Float, zero: Int, outputScale: Float, _ f: (Float) -> Float) {
    let low = inputScale * Float(-32768 - zero)
    let high = inputScale * Float(32767 - zero)
    let outputLow = outputScale * -32768
    let outputHigh = outputScale * 32767
    let step = (high - low) / 512
    let half = step / 2
    let inverse = 65536 / (outputHigh - outputLow)
    func round(_ x: Float) -> Float { x.rounded(.toNearestOrAwayFromZero) }
    func code(_ x: Float) -> Int { x.isNaN ? 0 : Int(min(max(x, -32768), 32767)) }
    for i in 0..<512 {
      let at = low + Float(i) * step
      let value = f(at)
      let line = round((f(low + Float(i + 1) * step) * inverse + round(value * inverse)) / 2)
      let error = line - round(f(at + half) * inverse)
      values.append(code(round(value * inverse) - round(error / 2)))
    }
    values.append(code(round(f(high) * inverse)))
  }

  /// The interpolated value of a 16-bit code; steep lines and sums wrap to 16 bits, as TFLite's do.
  subscript(code: Int) -> Int {
    let index = 256 + (code >> 7)
    let slope = Int(Int16(truncatingIfNeeded: values[index + 1] - values[index]))
    return Int(Int16(truncatingIfNeeded: values[index] + ((slope * (code & 127) + 64) >> 7)))
  }
}
