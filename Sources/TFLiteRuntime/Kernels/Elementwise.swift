import Containers
import TensorCore

/// Operators on two tensors, element by element, with broadcasting.
extension KernelCall {
  /// What an operator does to two stored values; the result is clamped by the operator's activation.
  private typealias Combine = (Int, Int) -> Int

  /// ADD, SUB, MUL, MAXIMUM, MINIMUM, SQUARED_DIFFERENCE and int32 DIV.
  func binary(_ builtin: TFLiteBuiltin) throws(KernelError) -> [UInt8] {
    let target = try output()
    guard let element = target.type.element else {
      throw KernelError(reason: "its element type has no kernel")
    }
    guard try input(0).type.type == target.type, try input(1).type.type == target.type else {
      throw KernelError(reason: "its tensors differ in type")
    }
    let combine: Combine =
      switch (builtin, element) {
      case (.maximum, _): { max($0, $1) }
      case (.minimum, _): { min($0, $1) }
      case (_, .int32), (_, .int64): try plain(builtin, element)
      case (.add, _): try sum(sign: 1)
      case (.sub, _): try sum(sign: -1)
      case (.mul, _): try product()
      case (.squaredDifference, _): try squaredDifference()
      default: throw KernelError(reason: "no kernel takes \(target.type)")
      }
    var activation = TFLiteActivation.none
    if case .arithmetic(let fused) = op.options { activation = fused }
    let clamp: ClosedRange<Int>? =
      activation == .none ? element.integerRange : try activation.clamp(target)
    let values = try combined(to: target.shape, combine)
    return encode(clamp.map { range in values.map(range.limit) } ?? values, as: element)
  }

  /// Integers without scales wrap.
  private func plain(_ builtin: TFLiteBuiltin, _ element: ElementType) throws(KernelError)
    -> Combine
  {
    let wrap: (Int) -> Int =
      element == .int32 ? { Int(Int32(truncatingIfNeeded: $0)) } : { $0 }
    return switch builtin {
    case .add: { wrap($0 &+ $1) }
    case .sub: { wrap($0 &- $1) }
    case .mul: { wrap($0 &* $1) }
    case .squaredDifference: { wrap(($0 &- $1) &* ($0 &- $1)) }
    case .div: { $1 == 0 ? 0 : wrap($0.dividedReportingOverflow(by: $1).partialValue) }
    default: throw KernelError(reason: "no kernel takes \(element)")
    }
  }

  /// Both operands are brought to twice the larger scale with 20 (16-bit: 15) fraction bits.
  private func sum(sign: Int) throws(KernelError) -> Combine {
    let target = try output()
    let (first, firstZero) = try input(0).type.perTensor()
    let (second, secondZero) = try input(1).type.perTensor()
    let (outputScale, zero) = try target.perTensor()
    let bits = target.type == .int16 ? 15 : 20
    let twice = 2 * Double(max(first, second))
    let a = try Rescale(Double(first) / twice)
    let b = try Rescale(Double(second) / twice)
    let result = try Rescale(twice / (Double(1 << bits) * Double(outputScale)))
    return { x, y in
      result.apply(
        a.apply((x - firstZero) << bits) + sign * b.apply((y - secondZero) << bits)) + zero
    }
  }

  private func product() throws(KernelError) -> Combine {
    let (first, firstZero) = try input(0).type.perTensor()
    let (second, secondZero) = try input(1).type.perTensor()
    let (outputScale, zero) = try output().perTensor()
    let scale = try Rescale(Double(first) * Double(second) / Double(outputScale))
    return { x, y in scale.apply((x - firstZero) * (y - secondZero)) + zero }
  }

  /// As ``sum(sign:)`` with 7 fraction bits, then squared; 8-bit tensors only.
  private func squaredDifference() throws(KernelError) -> Combine {
    let target = try output()
    let (first, firstZero) = try input(0).type.perTensor()
    let (second, secondZero) = try input(1).type.perTensor()
    let (outputScale, zero) = try target.perTensor()
    guard target.type != .int16 else { throw KernelError(reason: "no kernel takes int16") }
    let bits = 7
    let twice = 2 * Double(max(first, second))
    let a = try Rescale(Double(first) / twice)
    let b = try Rescale(Double(second) / twice)
    let result = try Rescale(
      twice * twice / (Double(1 << (2 * bits)) * Double(outputScale)))
    return { x, y in
      let difference = a.apply((x - firstZero) << bits) - b.apply((y - secondZero) << bits)
      return result.apply(difference * difference) + zero
    }
  }

  /// EQUAL, NOT_EQUAL, LESS, LESS_EQUAL, GREATER, GREATER_EQUAL.
  ///
  /// Quantised operands of different scales are compared with 8 fraction bits.
  func comparison(_ builtin: TFLiteBuiltin) throws(KernelError) -> [UInt8] {
    let first = try input(0).type
    let second = try input(1).type
    guard first.type == second.type else { throw KernelError(reason: "its tensors differ in type") }
    var left: (Int) -> Int = { $0 }
    var right: (Int) -> Int = { $0 }
    if first.type == .int8 || first.type == .uint8 || first.type == .int16,
      first.quantisation != nil, second.quantisation != nil
    {
      let (firstScale, firstZero) = try first.perTensor()
      let (secondScale, secondZero) = try second.perTensor()
      let a = try Rescale(Double(firstScale))
      let b = try Rescale(Double(secondScale))
      left = { a.apply(($0 - firstZero) << 8) }
      right = { b.apply(($0 - secondZero) << 8) }
    }
    let test: (Int, Int) -> Bool =
      switch builtin {
      case .equal: (==)
      case .notEqual: (!=)
      case .less: (<)
      case .lessEqual: (<=)
      case .greater: (>)
      default: (>=)
      }
    return try combined(to: try output().shape) { test(left($0), right($1)) ? 1 : 0 }
      .map { UInt8(truncatingIfNeeded: $0) }
  }

  /// LOGICAL_AND and LOGICAL_OR of truth values.
  func logical(isAnd: Bool) throws(KernelError) -> [UInt8] {
    try combined(to: try output().shape) { x, y in
      (isAnd ? x != 0 && y != 0 : x != 0 || y != 0) ? 1 : 0
    }.map { UInt8(truncatingIfNeeded: $0) }
  }

  /// SELECT and SELECT_V2: the second input where the first holds, else the third.
  func selection() throws(KernelError) -> [UInt8] {
    let target = try output()
    guard let width = target.type.element?.byteCount else {
      throw KernelError(reason: "its element type has no kernel")
    }
    let condition = try input(0)
    let first = try input(1)
    let second = try input(2)
    guard first.type.type == target.type, second.type.type == target.type,
      condition.type.type == .bool
    else { throw KernelError(reason: "its tensors differ in type") }
    let c = try broadcast(condition.type.shape, to: target.shape)
    let a = try broadcast(first.type.shape, to: target.shape)
    let b = try broadcast(second.type.shape, to: target.shape)
    var result: [UInt8] = []
    result.reserveCapacity(c.count * width)
    for i in c.indices {
      let (source, at) = condition.bytes[c[i]] != 0 ? (first.bytes, a[i]) : (second.bytes, b[i])
      result += source[at * width..<(at + 1) * width]
    }
    return result
  }

  // MARK: Broadcasting

  private func combined(to shape: Shape, _ combine: Combine) throws(KernelError) -> [Int] {
    let first = try input(0)
    let second = try input(1)
    let x = try first.integers()
    let y = try second.integers()
    if first.type.shape == shape, second.type.shape == shape {
      return x.indices.map { combine(x[$0], y[$0]) }
    }
    let a = try broadcast(first.type.shape, to: shape)
    let b = try broadcast(second.type.shape, to: shape)
    return a.indices.map { combine(x[a[$0]], y[b[$0]]) }
  }

  /// The element of `shape` that stands at each element of `target`: extents of 1 repeat.
  func broadcast(_ shape: Shape, to target: Shape) throws(KernelError) -> [Int] {
    let missing = target.rank - shape.rank
    guard missing >= 0,
      (0..<shape.rank).allSatisfy({ shape[$0] == target[$0 + missing] || shape[$0] == 1 })
    else { throw KernelError(reason: "shape \(shape) does not broadcast to \(target)") }
    var steps = [Int](repeating: 0, count: target.rank)
    let dense = strides(shape)
    for axis in 0..<shape.rank where shape[axis] != 1 { steps[axis + missing] = dense[axis] }
    return positions(target.dimensions, strides: steps)
  }

  /// The position of every element of a walk over `counts`, last axis fastest.
  func positions(_ counts: [Int], strides: [Int], from start: Int = 0) -> [Int] {
    var result = [start]
    for axis in counts.indices {
      var next: [Int] = []
      next.reserveCapacity(result.count * counts[axis])
      for at in result { for i in 0..<counts[axis] { next.append(at + i * strides[axis]) } }
      result = next
    }
    return result
  }
}
