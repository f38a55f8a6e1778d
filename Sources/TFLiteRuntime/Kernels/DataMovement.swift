import Containers
import TensorCore

/// Operators that move elements and change none.
extension KernelCall {
  /// CONCATENATION of tensors with one quantisation.
  func concatenation() throws(KernelError) -> [UInt8] {
    guard case .concatenation(let axis, .none) = op.options else {
      throw KernelError(reason: "an activation is fused into it")
    }
    let target = try output()
    let at = try position(axis, rank: target.shape.rank)
    var parts: [KernelTensor] = []
    for index in inputs.indices { parts.append(try input(index)) }
    guard
      parts.allSatisfy({
        $0.type.type == target.type && $0.type.shape.rank == target.shape.rank
          && ($0.type.quantisation == target.quantisation)
      })
    else { throw KernelError(reason: "its inputs differ in type or quantisation") }
    let outer = target.shape.dimensions[..<at].reduce(1, *)
    var result: [UInt8] = []
    for row in 0..<outer {
      for part in parts {
        let size = part.bytes.count / max(outer, 1)
        guard size * outer == part.bytes.count else { throw KernelError(reason: "shapes differ") }
        result += part.bytes[row * size..<(row + 1) * size]
      }
    }
    return result
  }

  /// SPLIT and SPLIT_V: pieces along an axis, with the extents of the outputs.
  func pieces() throws(KernelError) -> [[UInt8]] {
    let isVariable = op.code == .builtin(.splitV)
    let source = try input(isVariable ? 0 : 1)
    guard let axis = try input(isVariable ? 2 : 0).integers().first,
      let width = source.type.type.element?.byteCount
    else { throw KernelError(reason: "it has no axis") }
    let shape = source.type.shape
    let at = try position(axis, rank: shape.rank)
    let outer = shape.dimensions[..<at].reduce(1, *)
    let inner = shape.dimensions[(at + 1)...].reduce(width, *)
    let extents = outputs.map { $0.shape.rank == shape.rank ? $0.shape[at] : -1 }
    guard extents.allSatisfy({ $0 >= 0 }), extents.reduce(0, +) == shape[at] else {
      throw KernelError(reason: "its outputs do not make up its input")
    }
    var results = [[UInt8]](repeating: [], count: outputs.count)
    var from = 0
    for _ in 0..<outer {
      for (i, extent) in extents.enumerated() {
        results[i] += source.bytes[from..<from + extent * inner]
        from += extent * inner
      }
    }
    return results
  }

  /// STRIDED_SLICE without new axes and ellipsis.
  func stridedSlice() throws(KernelError) -> [UInt8] {
    guard
      case .stridedSlice(let beginMask, let endMask, 0, 0, let shrink, let isOffset) = op.options
    else { throw KernelError(reason: "new axes and ellipsis have no kernel") }
    let source = try input(0)
    let shape = source.type.shape
    let begin = try input(1).integers()
    let end = try input(2).integers()
    let step = try input(3).integers()
    guard begin.count <= shape.rank, begin.count == end.count, end.count == step.count,
      step.allSatisfy({ $0 != 0 })
    else { throw KernelError(reason: "its bounds do not fit its input") }
    var picks: [[Int]] = []
    for axis in 0..<shape.rank {
      guard axis < begin.count else {
        picks.append(Array(0..<shape[axis]))
        continue
      }
      let extent = shape[axis]
      func bound(_ value: Int) -> Int {
        let from = value < 0 ? value + extent : value
        return step[axis] > 0 ? min(max(from, 0), extent) : min(max(from, -1), extent - 1)
      }
      let isForward = step[axis] > 0
      var first = beginMask >> axis & 1 == 1 ? (isForward ? 0 : extent - 1) : bound(begin[axis])
      var last =
        endMask >> axis & 1 == 1
        ? (isForward ? extent : -1)
        : bound(
          isOffset ? begin[axis] &+ end[axis] : end[axis])
      if shrink >> axis & 1 == 1 {
        first = begin[axis] < 0 ? begin[axis] + extent : begin[axis]
        guard (0..<extent).contains(first) else {
          throw KernelError(reason: "an index is out of bounds")
        }
        last = first + 1
        picks.append([first])
        continue
      }
      picks.append(Array(stride(from: first, to: last, by: step[axis])))
    }
    return try gather(source, picks)
  }

  /// TRANSPOSE.
  func transposed() throws(KernelError) -> [UInt8] {
    let source = try input(0)
    let order = try input(1).integers()
    let shape = source.type.shape
    guard order.sorted() == Array(0..<shape.rank) else {
      throw KernelError(reason: "its order is no permutation")
    }
    let steps = strides(shape)
    return try copy(
      source, count: order.map { shape[$0] }, strides: order.map { steps[$0] })
  }

  /// PAD and PADV2: the zero point, or the value given.
  func padded() throws(KernelError) -> [UInt8] {
    let source = try input(0)
    let amounts = try input(1).integers()
    let shape = source.type.shape
    let target = try output()
    guard amounts.count == shape.rank * 2, amounts.allSatisfy({ $0 >= 0 }),
      target.shape.rank == shape.rank, let element = target.type.element,
      (0..<shape.rank).allSatisfy({
        shape[$0] + amounts[$0 * 2] + amounts[$0 * 2 + 1] == target.shape[$0]
      })
    else { throw KernelError(reason: "its amounts do not fit its shapes") }
    let width = element.byteCount
    let value: [UInt8] =
      if inputs.count > 2, let given = inputs[2] {
        Array(given.bytes.prefix(width))
      } else {
        encode([Int(target.quantisation?.zeroPoint() ?? 0)], as: element)
      }
    let count = target.shape.count
    var result = (0..<count).flatMap { _ in value }
    let outSteps = strides(target.shape)
    var index = [Int](repeating: 0, count: shape.rank)
    for from in 0..<shape.count {
      var to = 0
      for axis in 0..<shape.rank { to += (index[axis] + amounts[axis * 2]) * outSteps[axis] }
      for b in 0..<width { result[to * width + b] = source.bytes[from * width + b] }
      advance(&index, shape.dimensions)
    }
    return result
  }

  /// SLICE: a box of the input.
  func slice() throws(KernelError) -> [UInt8] {
    let source = try input(0)
    let begin = try input(1).integers()
    let size = try input(2).integers()
    let shape = source.type.shape
    guard begin.count == shape.rank, size.count == shape.rank else {
      throw KernelError(reason: "its bounds do not fit its input")
    }
    var picks: [[Int]] = []
    for axis in 0..<shape.rank {
      guard (0...shape[axis]).contains(begin[axis]) else {
        throw KernelError(reason: "an index is out of bounds")
      }
      let count = size[axis] == -1 ? shape[axis] - begin[axis] : size[axis]
      guard (0...shape[axis] - begin[axis]).contains(count) else {
        throw KernelError(reason: "an index is out of bounds")
      }
      picks.append(Array(begin[axis]..<begin[axis] + count))
    }
    return try gather(source, picks)
  }

  /// GATHER without batch dimensions: the slices along an axis that an index list names.
  func gathered() throws(KernelError) -> [UInt8] {
    guard case .gather(let axis, 0) = op.options else {
      throw KernelError(reason: "it has batch dimensions")
    }
    let source = try input(0)
    let shape = source.type.shape
    let at = try position(axis, rank: shape.rank)
    let indices = try input(1).integers()
    guard indices.allSatisfy({ (0..<shape[at]).contains($0) }) else {
      throw KernelError(reason: "an index is out of bounds")
    }
    var picks = shape.dimensions.map { Array(0..<$0) }
    picks[at] = indices
    return try gather(source, picks)
  }

  /// REVERSE_V2.
  func reversed() throws(KernelError) -> [UInt8] {
    let source = try input(0)
    var picks = source.type.shape.dimensions.map { Array(0..<$0) }
    for axis in try input(1).integers() {
      let at = try position(axis, rank: picks.count)
      picks[at].reverse()
    }
    return try gather(source, picks)
  }

  /// MIRROR_PAD: the content again, read backwards, with or without its edge.
  func mirrored() throws(KernelError) -> [UInt8] {
    guard case .mirrorPad(let isSymmetric) = op.options else {
      throw KernelError(reason: "its options are missing")
    }
    let source = try input(0)
    let shape = source.type.shape
    let amounts = try input(1).integers()
    guard amounts.count == shape.rank * 2 else {
      throw KernelError(reason: "its amounts do not fit its shapes")
    }
    var picks: [[Int]] = []
    for axis in 0..<shape.rank {
      let most = shape[axis] - (isSymmetric ? 0 : 1)
      let before = amounts[axis * 2]
      let after = amounts[axis * 2 + 1]
      guard (0...max(most, 0)).contains(before), (0...max(most, 0)).contains(after) else {
        throw KernelError(reason: "its amounts do not fit its shapes")
      }
      let edge = isSymmetric ? 1 : 0
      picks.append(
        (-before..<shape[axis] + after).map { i in
          i < 0 ? -i - edge : i < shape[axis] ? i : 2 * shape[axis] - 2 - i + edge
        })
    }
    return try gather(source, picks)
  }

  /// PACK: inputs side by side along a new axis.
  func packed() throws(KernelError) -> [UInt8] {
    guard case .pack(let axis) = op.options else {
      throw KernelError(reason: "its options are missing")
    }
    let target = try output()
    let at = try position(axis, rank: target.shape.rank)
    let outer = target.shape.dimensions[..<at].reduce(1, *)
    var parts: [[UInt8]] = []
    for index in inputs.indices { parts.append(try input(index).bytes) }
    guard outer > 0, let size = parts.first?.count, parts.allSatisfy({ $0.count == size }),
      size % outer == 0
    else { throw KernelError(reason: "its inputs differ in shape") }
    let inner = size / outer
    var result: [UInt8] = []
    for row in 0..<outer { for part in parts { result += part[row * inner..<(row + 1) * inner] } }
    return result
  }

  /// UNPACK: a slice for each index of an axis.
  func unpacked() throws(KernelError) -> [[UInt8]] {
    guard case .unpack(let axis) = op.options else {
      throw KernelError(reason: "its options are missing")
    }
    let source = try input(0)
    let shape = source.type.shape
    let at = try position(axis, rank: shape.rank)
    var results: [[UInt8]] = []
    for index in 0..<shape[at] {
      var picks = shape.dimensions.map { Array(0..<$0) }
      picks[at] = [index]
      results.append(try gather(source, picks))
    }
    guard results.count == outputs.count else {
      throw KernelError(reason: "its outputs do not make up its input")
    }
    return results
  }

  // MARK: Helpers

  /// An axis counted from either end, checked.
  func position(_ axis: Int, rank: Int) throws(KernelError) -> Int {
    let at = axis < 0 ? axis + rank : axis
    guard (0..<rank).contains(at) else { throw KernelError(reason: "axis \(axis) does not exist") }
    return at
  }

  /// Elements from one step of each axis to the next.
  func strides(_ shape: Shape) -> [Int] {
    var result = [Int](repeating: 1, count: shape.rank)
    for axis in (0..<shape.rank).dropLast().reversed() {
      result[axis] = result[axis + 1] * shape[axis + 1]
    }
    return result
  }

  /// The elements at every combination of the indices picked along each axis.
  private func gather(_ source: KernelTensor, _ picks: [[Int]]) throws(KernelError) -> [UInt8] {
    guard let width = source.type.type.element?.byteCount else {
      throw KernelError(reason: "its element type has no kernel")
    }
    let counts = picks.map(\.count)
    let steps = strides(source.type.shape)
    var index = [Int](repeating: 0, count: picks.count)
    var result: [UInt8] = []
    for _ in 0..<counts.reduce(1, *) {
      var from = 0
      for axis in picks.indices { from += picks[axis][index[axis]] * steps[axis] }
      result += source.bytes[from * width..<(from + 1) * width]
      advance(&index, counts)
    }
    return result
  }

  private func copy(_ source: KernelTensor, count: [Int], strides: [Int]) throws(KernelError)
    -> [UInt8]
  {
    guard let width = source.type.type.element?.byteCount else {
      throw KernelError(reason: "its element type has no kernel")
    }
    var index = [Int](repeating: 0, count: count.count)
    var result: [UInt8] = []
    for _ in 0..<count.reduce(1, *) {
      var from = 0
      for axis in count.indices { from += index[axis] * strides[axis] }
      result += source.bytes[from * width..<(from + 1) * width]
      advance(&index, count)
    }
    return result
  }

  private func advance(_ index: inout [Int], _ counts: [Int]) {
    for axis in counts.indices.reversed() {
      index[axis] += 1
      if index[axis] < counts[axis] { return }
      index[axis] = 0
    }
  }
}
