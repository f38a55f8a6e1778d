import TensorCore

// Shapes of the operations that only naive exporters write.
extension Verifier {
  /// What is wrong with the shapes of an operation of `OpCode.isNaive`; nil for a sound one.
  func naiveShapeProblem(_ op: VerifiedOperation) -> String? {
    let x = op.shape(0)
    let result = op.result.shape
    switch op.operation.code {
    case .reshape:
      return x.checkedCount == result.checkedCount
        ? nil : "\(x) has another number of elements than \(result)"
    case .transpose:
      let permutation = op.operation.ints("permutation") ?? []
      guard permutation.sorted() == Array(0..<x.rank) else {
        return "\(permutation) is not an order of the \(x.rank) axes of \(x)"
      }
      return mismatch(result, Shape(permutation.map { x[$0] }))
    case .expand:
      let sound =
        x.rank == result.rank
        && zip(x.dimensions, result.dimensions).allSatisfy { $0 == $1 || $0 == 1 }
      return sound ? nil : "\(x) cannot be repeated to \(result)"
    case .slice: return sliceProblem(op, x, result)
    case .concat:
      let (axis, b) = (op.operation.int("axis") ?? 0, op.shape(1))
      guard axis < x.rank, b.rank == x.rank else {
        return "\(x) and \(b) have no axis \(axis) to join"
      }
      var joined = x.dimensions
      joined[axis] += b[axis]
      guard (0..<x.rank).allSatisfy({ $0 == axis || x[$0] == b[$0] }) else {
        return "\(x) and \(b) differ in more than axis \(axis)"
      }
      return mismatch(result, Shape(joined))
    case .matmul:
      let (b, rank) = (op.shape(1), x.rank)
      guard rank >= 2, b.rank == rank, x[rank - 1] == b[rank - 2],
        x.dimensions.dropLast(2) == b.dimensions.dropLast(2)
      else { return "\(x) cannot be multiplied by \(b)" }
      return mismatch(result, Shape(x.dimensions.dropLast() + [b[rank - 1]]))
    case .scale, .negate: return mismatch(result, x)
    case .softmax: return x.rank >= 1 ? mismatch(result, x) : "a scalar has no axis to sum along"
    case .causalMask:
      guard x.rank >= 2, op.shape(1) == [] else {
        return "rows and columns and a scalar position are needed, not \(x) and \(op.shape(1))"
      }
      return mismatch(result, x)
    case .positionRows:
      let table = op.shape(1)
      guard x == [], table.rank == 2, result.rank == 2, result[0] <= table[0] else {
        return "a scalar position and a table of rows are needed, not \(x) and \(table)"
      }
      return mismatch(result, [result[0], table[1]])
    case .cacheWrite:
      let cache = op.shape(2)
      guard x.rank == 3, cache.rank == 3, x[1] <= cache[1], op.shape(1) == [] else {
        return "rows of \(x) do not fit a cache of \(cache)"
      }
      return mismatch(x, [cache[0], x[1], cache[2]], "operand x")
    case .cacheRead: return mismatch(result, x)
    default: return nil
    }
  }

  private func sliceProblem(_ op: VerifiedOperation, _ x: Shape, _ result: Shape) -> String? {
    let (axis, start) = (op.operation.int("axis") ?? 0, op.operation.int("start") ?? 0)
    guard axis < x.rank, result.rank == x.rank else { return "\(x) has no axis \(axis) to cut" }
    // Extents are positive and small here: `types` has run.
    let (span, overflow) = (result[axis] - 1).multipliedReportingOverflow(
      by: op.operation.int("step") ?? 1)
    guard !overflow, span < x[axis], start < x[axis] - span else {
      return "\(result[axis]) elements from \(start) on do not fit axis \(axis) of \(x)"
    }
    var cut = x.dimensions
    cut[axis] = result[axis]
    return mismatch(result, Shape(cut))
  }

  private func mismatch(_ shape: Shape, _ wanted: Shape, _ name: String = "the result") -> String? {
    shape == wanted ? nil : "\(name) is \(shape) instead of \(wanted)"
  }
}
