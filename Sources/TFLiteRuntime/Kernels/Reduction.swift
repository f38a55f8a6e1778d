import Containers
import TensorCore

/// Operators that fold axes.
extension KernelCall {
  /// MEAN and SUM of int8, uint8 and int16: zero points are taken off the sum, then one multiplier.
  func meanOrSum(isMean: Bool) throws(KernelError) -> [UInt8] {
    let source = try input(0)
    let target = try output()
    let (values, groups) = try folded()
    guard let element = target.type.element else {
      throw KernelError(reason: "its element type has no kernel")
    }
    let size = groups.first?.count ?? 0
    guard size > 0, size < 1 << 24 else { throw KernelError(reason: "it folds nothing") }
    let sums = groups.map { $0.reduce(0) { $0 &+ values[$1] } }
    if source.type.type == .int32 || source.type.type == .int64 {
      return encode(isMean ? sums.map { $0 / size } : sums, as: element)
    }
    let (inputScale, inputZero) = try source.type.perTensor()
    let (outputScale, outputZero) = try target.perTensor()
    let real = Double(inputScale) / Double(outputScale)
    guard real > 0x1p-31, real < 0x1p30 else {
      throw KernelError(reason: "a quotient of scales is \(real)")
    }
    // The mean's division joins the multiplier, which gains the bits it loses by it.
    var exponent = Int(real.exponent) + 1
    var factor = Int((real.significand * 0x1p30).rounded(.toNearestOrAwayFromZero))
    if factor == 1 << 31 {
      factor >>= 1
      exponent += 1
    }
    if isMean {
      let shift = min(63 - size.leadingZeroBitCount, 32, 31 + exponent)
      factor = (factor << shift) / size
      exponent -= shift
    }
    guard (-32...31).contains(exponent) else {
      throw KernelError(reason: "a quotient of scales is \(real)")
    }
    let scale = FixedScale(multiplier: UInt32(truncatingIfNeeded: factor), shift: 31 - exponent)
    let range = try target.range()
    let results = sums.map { sum in
      let scaled = scale.apply(Int64(sum - inputZero * size), rounding: .doubleSymmetric)
      return range.limit(Int(scaled) + outputZero)
    }
    return encode(results, as: element)
  }

  /// REDUCE_MAX and REDUCE_MIN.
  func extreme(isMaximum: Bool) throws(KernelError) -> [UInt8] {
    let (values, groups) = try folded()
    guard let element = try output().type.element, groups.allSatisfy({ !$0.isEmpty }) else {
      throw KernelError(reason: "it folds nothing")
    }
    let results = groups.map { group in
      group.reduce(values[group[0]]) { isMaximum ? max($0, values[$1]) : min($0, values[$1]) }
    }
    return encode(results, as: element)
  }

  /// ARG_MAX and ARG_MIN: the first of equals.
  func position(ofMaximum: Bool) throws(KernelError) -> [UInt8] {
    let source = try input(0)
    let shape = source.type.shape
    guard let given = try input(1).integers().first, let element = try output().type.element,
      element == .int32 || element == .int64
    else { throw KernelError(reason: "it has no axis") }
    let axis = try position(given, rank: shape.rank)
    let values = try source.integers()
    let steps = strides(shape)
    var outer = shape.dimensions
    outer[axis] = 1
    let results = try positions(outer, strides: steps).map { start throws(KernelError) -> Int in
      guard shape[axis] > 0 else { throw KernelError(reason: "it folds nothing") }
      var best = 0
      for i in 0..<shape[axis] {
        let value = values[start + i * steps[axis]]
        let held = values[start + best * steps[axis]]
        if ofMaximum ? value > held : value < held { best = i }
      }
      return best
    }
    return encode(results, as: element)
  }

  /// The input's values, and for each output the elements that fold into it.
  private func folded() throws(KernelError) -> (values: [Int], groups: [[Int]]) {
    let source = try input(0)
    let shape = source.type.shape
    var axes: Set<Int> = []
    for axis in try input(1).integers() { axes.insert(try position(axis, rank: shape.rank)) }
    let steps = strides(shape)
    let outer = shape.dimensions.indices.map { axes.contains($0) ? 1 : shape[$0] }
    let inner = shape.dimensions.indices.map { axes.contains($0) ? shape[$0] : 1 }
    let offsets = positions(inner, strides: steps)
    let groups = positions(outer, strides: steps).map { start in offsets.map { start + $0 } }
    guard groups.count == (try output()).shape.count else {
      throw KernelError(reason: "its output does not fit its axes")
    }
    return (try source.integers(), groups)
  }
}
