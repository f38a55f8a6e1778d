import GraphIR
import Reference
import TensorCore

/// What a rotation of a model makes of one of its constants.
enum RotatedConstant: Hashable {
  /// How a linear layer's columns answer to what it now reads.
  enum Columns: Hashable {
    case same
    /// The norm before lost its factors `gamma` and reads a rotated stream.
    case norm(gamma: ConstantID)
    /// Every head of this width is rotated.
    case heads(Int)
  }
  /// How a linear layer's rows, or those of its bias, make what is now read.
  enum Rows: Hashable {
    case same
    case stream
    /// Every head of this width is rotated.
    case heads(Int)
  }

  /// It stays.
  case same
  /// An embedding table whose rows are rotated.
  case table
  /// A norm's factors, all 1.
  case ones
  /// A linear layer's weights.
  case weights(columns: Columns, rows: Rows)
  /// A linear layer's bias.
  case bias(Rows)

  /// The constant's numbers, row-major; nil when they or those of a norm are unreadable or do not fit.
  func values(of id: ConstantID, in graph: Graph) -> [Float]? {
    let shape = graph[id].type.shape
    guard var values = graph[id].floats else { return nil }
    /// Rotates every `block` of every row; false where rows are no multiples of blocks.
    func rotate(_ values: inout [Float], width: Int, block: Int) -> Bool {
      guard block > 0, width % block == 0 else { return false }
      Self.rotate(&values, block: block)
      return true
    }
    switch self {
    case .same: return values
    case .ones: return values.map { _ in 1 }
    case .table:
      guard shape.rank == 2, rotate(&values, width: shape[1], block: shape[1]) else { return nil }
    case .bias(let rows):
      guard rows != .same else { return values }
      let width = values.count
      guard rotate(&values, width: width, block: rows.block(width)) else { return nil }
    case .weights(let columns, let rows):
      guard shape.rank == 2 else { return nil }
      switch columns {
      case .same: break
      case .norm(let gamma):
        guard let factors = graph[gamma].floats, factors.count == shape[1] else { return nil }
        for index in values.indices { values[index] *= factors[index % shape[1]] }
        guard rotate(&values, width: shape[1], block: shape[1]) else { return nil }
      case .heads(let width):
        guard rotate(&values, width: shape[1], block: width) else { return nil }
      }
      if rows != .same {
        var turned = Self.transposed(values, rows: shape[0], columns: shape[1])
        guard rotate(&turned, width: shape[0], block: rows.block(shape[0])) else { return nil }
        values = Self.transposed(turned, rows: shape[1], columns: shape[0])
      }
    }
    return values
  }

  /// Rotates every `block` numbers.
  private static func rotate(_ values: inout [Float], block: Int) {
    let rotation = OrthogonalRotation(width: block)
    let count = values.count / block
    values.withUnsafeMutableBufferPointer { values in
      nonisolated(unsafe) let values = values
      Parallel.ranges(count, grain: max(1, 16384 / block)) { range in
        withUnsafeTemporaryAllocation(of: Double.self, capacity: 2 * block) { room in
          let row = UnsafeMutableBufferPointer(rebasing: room[0..<block])
          let scratch = UnsafeMutableBufferPointer(rebasing: room[block..<2 * block])
          for index in range {
            for i in 0..<block { row[i] = Double(values[index * block + i]) }
            rotation.apply(row, scratch: scratch)
            for i in 0..<block { values[index * block + i] = Float(row[i]) }
          }
        }
      }
    }
  }

  private static func transposed(_ values: [Float], rows: Int, columns: Int) -> [Float] {
    [Float](unsafeUninitializedCapacity: values.count) { out, filled in
      filled = values.count
      for r in 0..<rows {
        for c in 0..<columns { out[c * rows + r] = values[r * columns + c] }
      }
    }
  }
}

extension RotatedConstant.Rows {
  /// How many of `count` rows are rotated together.
  fileprivate func block(_ count: Int) -> Int {
    if case .heads(let width) = self { width } else { count }
  }
}
