import GraphIR
import TensorCore

extension Operation {
  /// The index map of an operation that reorders one operand (reshape, transpose, expand, slice, or the
  /// reading of a cache), between tensors of the given shapes; nil for all others.
  ///
  /// The graph must have passed the verifier: shapes and attributes fit together.
  func movementMap(from source: Shape, to result: Shape) -> IndexMap? {
    var strides = IndexMap.strides(of: source.dimensions)
    switch code {
    case .reshape, .cacheRead: return IndexMap.identity(result.count)
    case .transpose:
      guard let order = ints("permutation"), order.count == source.rank else { return nil }
      return IndexMap(extents: result.dimensions, strides: order.map { strides[$0] })
    case .expand:
      for axis in 0..<source.rank where source[axis] != result[axis] { strides[axis] = 0 }
      return IndexMap(extents: result.dimensions, strides: strides)
    case .slice:
      guard let axis = int("axis"), let start = int("start"), let step = int("step") else {
        return nil
      }
      let offset = start * strides[axis]
      strides[axis] *= step
      return IndexMap(extents: result.dimensions, strides: strides, offset: offset)
    default: return nil
    }
  }
}
