import Foundation
import GraphIR
import Support
import TensorCore

/// One operation that only naive exporters write, made ready to run: plain loops, since these graphs
/// are run to be compared with what the passes make of them.
enum NaiveStep: Sendable {
  /// Copies with one stride for each axis of the result: reshape, transpose, expand, slice.
  case copy(Int, StridedCopy)
  /// Joins along an axis: how many neighbouring numbers each operand gives at a time.
  case concat(Int, Int, runs: (Int, Int))
  /// `count` products `[m, k] · [k, n]`.
  case matmul(Int, Int, count: Int, m: Int, k: Int, n: Int)
  case scale(Int, by: Float)
  case softmax(Int, width: Int)
  case causalMask(Int, rows: Int, columns: Int)
  case positionRows(table: [Float], width: Int)
  case cacheWrite(Int, StateID, heads: Int, rows: Int, context: Int, width: Int)
  case cacheRead(StateID)

  /// A copy of a strided part of a row-major tensor.
  struct StridedCopy: Sendable {
    /// The result's extents, outermost first.
    var extents: [Int]
    /// The step in the source for one step along each axis of the result.
    var strides: [Int]
    /// Where the first element lies in the source.
    var offset = 0
  }

  /// Reads an operation. Throws when shapes, attributes or numbers do not fit.
  init(_ operation: GraphIR.Operation, _ reading: GraphReading) throws(DiagnosticError) {
    func shape(_ value: Int) -> Shape { reading.function.values[value].type.shape }
    func sound(_ condition: Bool) throws(DiagnosticError) {
      if !condition { throw GraphReading.malformed(operation, "its shapes do not fit together") }
    }
    func same(_ x: Int) throws(DiagnosticError) -> Int {
      try sound(shape(x) == shape(try reading.result(operation)))
      return x
    }
    switch operation.code {
    case .reshape, .transpose, .expand, .slice:
      self = try Self.copy(operation, reading)
    case .concat:
      let (a, b) = (try reading.value(operation, 0), try reading.value(operation, 1))
      let out = shape(try reading.result(operation))
      let axis = operation.int("axis") ?? -1
      try sound(
        out.dimensions.indices.contains(axis) && shape(a).rank == out.rank
          && shape(b).rank == out.rank && shape(a)[axis] + shape(b)[axis] == out[axis]
          && shape(a).count + shape(b).count == out.count)
      let inner = out.dimensions[(axis + 1)...].reduce(1, *)
      self = .concat(a, b, runs: (shape(a)[axis] * inner, shape(b)[axis] * inner))
    case .matmul:
      let (a, b) = (try reading.value(operation, 0), try reading.value(operation, 1))
      let (left, right, out) = (shape(a), shape(b), shape(try reading.result(operation)))
      let rank = left.rank
      try sound(rank >= 2 && right.rank == rank && out.rank == rank)
      let (m, k, n) = (left[rank - 2], left[rank - 1], right[rank - 1])
      let count = left.dimensions.dropLast(2).reduce(1, *)
      try sound(
        right[rank - 2] == k && right.count == count * k * n && out.count == count * m * n)
      self = .matmul(a, b, count: count, m: m, k: k, n: n)
    case .scale, .negate:
      let x = try same(reading.value(operation, 0))
      let factor = operation.code == .negate ? -1 : operation.float("scale")
      guard let factor else { throw GraphReading.malformed(operation, "needs 'scale'") }
      self = .scale(x, by: Float(factor))
    case .softmax:
      let x = try same(reading.value(operation, 0))
      self = .softmax(x, width: max(reading.width(x), 1))
    case .causalMask:
      let x = try same(reading.value(operation, 0))
      try sound(shape(x).rank >= 2)
      self = .causalMask(x, rows: shape(x)[shape(x).rank - 2], columns: reading.width(x))
    case .positionRows:
      let (_, constant, _) = try reading.constant(operation, 1)
      let out = shape(try reading.result(operation))
      try sound(
        constant.type.shape.rank == 2 && out.rank == 2 && constant.type.shape[1] == out[1])
      self = .positionRows(
        table: try reading.floats(operation, 1, count: constant.type.shape.count), width: out[1])
    case .cacheWrite:
      let x = try reading.value(operation, 0)
      let state = try reading.state(operation, 2)
      let cache = reading.graph[state].type.shape
      try sound(shape(x).rank == 3 && shape(x)[0] == cache[0] && shape(x)[2] == cache[2])
      self = .cacheWrite(
        x, state, heads: cache[0], rows: shape(x)[1], context: cache[1], width: cache[2])
    case .cacheRead:
      let state = try reading.state(operation, 0)
      try sound(reading.graph[state].type.shape == shape(try reading.result(operation)))
      self = .cacheRead(state)
    default: throw GraphReading.malformed(operation, "is none of a naive exporter's")
    }
  }

  private static func copy(
    _ operation: GraphIR.Operation, _ reading: GraphReading
  ) throws(DiagnosticError) -> NaiveStep {
    let x = try reading.value(operation, 0)
    let source = reading.function.values[x].type.shape
    let out = reading.function.values[try reading.result(operation)].type.shape
    var strides = [Int](repeating: 1, count: source.rank)
    for axis in stride(from: source.rank - 2, through: 0, by: -1) {
      strides[axis] = strides[axis + 1] * source[axis + 1]
    }
    switch operation.code {
    case .reshape where source.count == out.count:
      return .copy(x, StridedCopy(extents: [out.count], strides: [1]))
    case .transpose:
      let order = operation.ints("permutation") ?? []
      guard order.sorted() == Array(0..<source.rank), order.map({ source[$0] }) == out.dimensions
      else { break }
      return .copy(x, StridedCopy(extents: out.dimensions, strides: order.map { strides[$0] }))
    case .expand:
      guard source.rank == out.rank,
        zip(source.dimensions, out.dimensions).allSatisfy({ $0 == $1 || $0 == 1 })
      else { break }
      for axis in 0..<out.rank where source[axis] != out[axis] { strides[axis] = 0 }
      return .copy(x, StridedCopy(extents: out.dimensions, strides: strides))
    case .slice:
      guard let axis = operation.int("axis"), let start = operation.int("start"),
        let step = operation.int("step"), source.rank == out.rank, (0..<out.rank).contains(axis),
        start >= 0, step > 0, start + (out[axis] - 1) * step < source[axis],
        (0..<out.rank).allSatisfy({ $0 == axis || source[$0] == out[$0] })
      else { break }
      let offset = start * strides[axis]
      strides[axis] *= step
      return .copy(x, StridedCopy(extents: out.dimensions, strides: strides, offset: offset))
    default: break
    }
    throw GraphReading.malformed(operation, "its shapes do not fit together")
  }

  /// Runs the step; what it returns is its result, nothing for a cache write.
  ///
  /// `rows` is the number of tokens, `position` the first one's; the caller has checked that they fit the
  /// caches. Throws when they do not fit a table.
  func run(
    _ values: [[Float]], position: Int, rows: Int, state: inout FloatState
  ) throws(DiagnosticError) -> [Float] {
    switch self {
    case .copy(let x, let copy): return copy.run(values[x])
    case .concat(let a, let b, let runs):
      var (out, left, right) = ([Float](), values[a][...], values[b][...])
      out.reserveCapacity(left.count + right.count)
      while !left.isEmpty || !right.isEmpty {
        out += left.prefix(runs.0)
        out += right.prefix(runs.1)
        left = left.dropFirst(runs.0)
        right = right.dropFirst(runs.1)
      }
      return out
    case .matmul(let a, let b, let count, let m, let k, let n):
      let (left, right) = (values[a], values[b])
      var out = [Float](repeating: 0, count: count * m * n)
      for batch in 0..<count {
        for i in 0..<m {
          for l in 0..<k {
            let factor = left[(batch * m + i) * k + l]
            // What is masked away counts nothing, even where the cache holds no number yet.
            if factor == 0 { continue }
            for j in 0..<n {
              out[(batch * m + i) * n + j] += factor * right[(batch * k + l) * n + j]
            }
          }
        }
      }
      return out
    case .scale(let x, let factor): return values[x].map { $0 * factor }
    case .softmax(let x, let width):
      var out = values[x]
      for start in stride(from: 0, to: out.count, by: width) {
        let top = out[start..<start + width].max() ?? 0
        var sum = 0.0
        for i in start..<start + width {
          out[i] = expf(out[i] - top)
          sum += Double(out[i])
        }
        let factor = Float(1 / sum)
        for i in start..<start + width { out[i] *= factor }
      }
      return out
    case .causalMask(let x, let rows, let columns):
      var out = values[x]
      for (line, start) in stride(from: 0, to: out.count, by: max(columns, 1)).enumerated() {
        let visible = min(position + line % rows + 1, columns)
        for i in start + visible..<start + columns { out[i] = -.infinity }
      }
      return out
    case .positionRows(let table, let width):
      guard table.count / max(width, 1) - rows >= position else {
        throw DiagnosticError(
          "reference.context", "position \(position) lies behind a table of positions")
      }
      return Array(table[(position * width)..<((position + rows) * width)])
    case .cacheWrite(let x, let id, let heads, let rows, let context, let width):
      for head in 0..<heads {
        let to = (head * context + position) * width
        state.tensors[id.index].replaceSubrange(
          to..<to + rows * width,
          with: values[x][(head * rows * width)..<((head + 1) * rows * width)])
      }
      return []
    case .cacheRead(let id): return state.tensors[id.index]
    }
  }
}

extension NaiveStep.StridedCopy {
  /// The copy of `x`.
  func run(_ x: [Float]) -> [Float] {
    let count = extents.reduce(1, *)
    var index = [Int](repeating: 0, count: extents.count)
    var (out, at) = ([Float](), offset)
    out.reserveCapacity(count)
    for _ in 0..<count {
      out.append(x[at])
      for axis in extents.indices.reversed() {
        index[axis] += 1
        at += strides[axis]
        if index[axis] < extents[axis] { break }
        at -= strides[axis] * extents[axis]
        index[axis] = 0
      }
    }
    return out
  }
}
