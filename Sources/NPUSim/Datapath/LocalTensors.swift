/// What U85 operations hand to the next one without memory: chaining buffers and accumulators.
///
/// Hardware passes block by block; here each tensor exists as a whole.
struct LocalTensors {
  private struct Buffer {
    var bank: MemoryBank
    var map: FeatureMap
  }

  private var buffers: [Int: Buffer] = [:]
  private var sums: AccumulatorMemory?

  /// Accumulators of the operation at hand, `[y][x][c]`.
  var accumulators: UnsafeMutablePointer<Int64>? { sums?.values }

  /// An operation without chained operand starts a new chain: older buffers hold nothing.
  mutating func beginOperation(isChained: Bool) {
    if !isChained { buffers.removeAll() }
  }

  /// A buffer for a chained OFM, whose size was checked.
  mutating func produce(_ ofm: FeatureMap) -> MappedTensor {
    let map = ofm.dense
    let bank = MemoryBank(name: "chaining buffer", count: map.elements * map.elementBytes)
    buffers[ofm.region] = Buffer(bank: bank, map: map)
    return MappedTensor(map, within: bank)
  }

  /// The buffer that holds a chained operand.
  func consume(_ map: FeatureMap) throws(Fault) -> MappedTensor {
    let name = "\(map.role.rawValue) chaining buffer"
    guard let buffer = buffers[map.region] else {
      throw .illegalValue(
        register: name, value: map.region, legal: "one that the chain has written")
    }
    guard buffer.map.height == map.height, buffer.map.width == map.width,
      buffer.map.depth == map.depth, buffer.map.elementBytes == map.elementBytes
    else {
      throw .illegalValue(
        register: name, value: map.region, legal: "one of the operand's shape and element width")
    }
    return MappedTensor(map.dense, within: buffer.bank)
  }

  /// Makes the accumulators ready that the operation keeps or leaves.
  mutating func prepareAccumulators(_ op: KernelOp) throws(Fault) {
    let shape = [op.ofm.height, op.ofm.width, op.ofm.depth]
    if op.accumulatorInput == .kept {
      guard sums?.shape == shape else {
        throw .illegalValue(
          register: "accFormat input", value: op.accumulatorInput.rawValue,
          legal: "0 or 2: no accumulators of this OFM were left")
      }
    } else {
      sums = AccumulatorMemory(shape: shape)
    }
  }
}

/// Sums that stay in the accumulators from one operation to the next.
private final class AccumulatorMemory: @unchecked Sendable {
  let shape: [Int]
  let values: UnsafeMutablePointer<Int64>

  init(shape: [Int]) {
    self.shape = shape
    let count = max(1, shape.reduce(1, *))
    values = .allocate(capacity: count)
    values.initialize(repeating: 0, count: count)
  }

  deinit { values.deallocate() }
}
