import TensorCore

/// NPU_OP_ELEMENTWISE: one value of each operand, broadcast where an operand has extent 1.
struct Elementwise {
  let op: KernelOp
  let mode: ElementwiseMode
  /// Operand A and B after the operand swap; a missing tensor is the constant.
  let a: Operand
  let b: Operand
  let sink: OutputSink
  /// LRELU: the scales of values from 0 on and below. U55 and U65 scale negative values only, by the
  /// output scale.
  let leakyScales: (positive: PreparedScale, negative: PreparedScale)?

  /// A tensor or a constant.
  enum Operand {
    case tensor(MappedTensor)
    case constant(Int64)
  }

  /// Computes the whole OFM.
  func run(threads: Int) {
    let width = op.ofm.width
    let depth = op.ofm.depth
    let rowElements = width * depth
    let elements = op.ofm.height * rowElements
    // Rows are cut into column chunks that stay in the cache.
    let chunk = max(1, min(width, 4096 / depth))
    Parallel.forEachSlice(of: op.ofm.height, cost: elements * 4, threads: threads) { rows in
      let capacity = chunk * depth
      withScratch(3 * capacity, of: Int64.self) { buffer in
        let valuesA = buffer
        let valuesB = buffer + capacity
        let narrow = buffer + 2 * capacity
        for y in rows {
          var x = 0
          while x < width {
            let columns = x..<min(width, x + chunk)
            let n = columns.count * depth
            fetch(a, y, columns, narrow, into: valuesA)
            if mode != .leakyReLU { scale(valuesA, n, by: op.operandA) }
            if !mode.isUnary {
              fetch(b, y, columns, narrow, into: valuesB)
              scale(valuesB, n, by: op.operandB)
            }
            combine(valuesA, valuesB, n)
            sink.emit(valuesA, y: y, x: columns, c: 0..<depth)
            x = columns.upperBound
          }
        }
      }
    }
  }

  /// Operand values of row `y`, broadcast to `[x][c]` of the OFM.
  private func fetch(
    _ operand: Operand, _ y: Int, _ columns: Range<Int>, _ narrow: UnsafeMutablePointer<Int64>,
    into out: UnsafeMutablePointer<Int64>
  ) {
    let depth = op.ofm.depth
    switch operand {
    case .constant(let value):
      out.update(repeating: value, count: columns.count * depth)
    case .tensor(let tensor):
      let map = tensor.map
      let row = map.height == 1 ? 0 : y
      let spreadsX = map.width == 1 && op.ofm.width > 1
      let spreadsC = map.depth == 1 && depth > 1
      let source = spreadsX ? 0..<1 : columns
      guard spreadsX || spreadsC else {
        tensor.read(y: row, x: source, c: 0..<depth, into: out)
        return
      }
      tensor.read(y: row, x: source, c: 0..<map.depth, into: narrow)
      for i in 0..<columns.count {
        let from = narrow + (spreadsX ? 0 : i * map.depth)
        if spreadsC {
          (out + i * depth).update(repeating: from.pointee, count: depth)
        } else {
          (out + i * depth).update(from: from, count: depth)
        }
      }
    }
  }

  private func scale(_ values: UnsafeMutablePointer<Int64>, _ n: Int, by scale: OperandScale) {
    guard !scale.isIdentity else { return }
    let prepared = PreparedScale(
      scale.scale, rounding: scale.rounding, doubleRoundShift: scale.doubleRoundShift)
    for i in 0..<n { values[i] = prepared(values[i]) }
  }

  /// The operation itself, in place of operand A.
  private func combine(
    _ a: UnsafeMutablePointer<Int64>, _ b: UnsafeMutablePointer<Int64>, _ n: Int
  ) {
    switch mode {
    case .mul: for i in 0..<n { a[i] &*= b[i] }
    case .add: for i in 0..<n { a[i] &+= b[i] }
    case .sub: for i in 0..<n { a[i] &-= b[i] }
    case .min: for i in 0..<n { a[i] = Swift.min(a[i], b[i]) }
    case .max: for i in 0..<n { a[i] = Swift.max(a[i], b[i]) }
    case .abs: for i in 0..<n { a[i] = a[i] < 0 ? 0 &- a[i] : a[i] }
    case .leakyReLU:
      guard let leakyScales else { return }
      for i in 0..<n {
        a[i] = a[i] < 0 ? leakyScales.negative(a[i]) : leakyScales.positive(a[i])
      }
    case .clz:
      for i in 0..<n { a[i] = Int64(UInt32(truncatingIfNeeded: a[i]).leadingZeroBitCount) }
    case .shr:
      let rounding = op.output.rounding
      for i in 0..<n {
        a[i] = FixedScale(multiplier: 1, shift: Int(b[i] & 63)).apply(a[i], rounding: rounding)
      }
    case .shl:
      for i in 0..<n {
        let shifted = UInt32(truncatingIfNeeded: a[i]) << UInt32(truncatingIfNeeded: b[i] & 63)
        a[i] = Int64(Int32(bitPattern: shifted))
      }
    case .lsr:
      for i in 0..<n { a[i] = Int64(UInt32(truncatingIfNeeded: a[i]) >> UInt32(b[i] & 63)) }
    case .div:
      for i in 0..<n { a[i] = b[i] == 0 ? 0 : a[i].dividedReportingOverflow(by: b[i]).partialValue }
    case .equal: for i in 0..<n { a[i] = a[i] == b[i] ? -1 : 0 }
    case .notEqual: for i in 0..<n { a[i] = a[i] != b[i] ? -1 : 0 }
    case .greaterOrEqual: for i in 0..<n { a[i] = a[i] >= b[i] ? -1 : 0 }
    case .greater: for i in 0..<n { a[i] = a[i] > b[i] ? -1 : 0 }
    case .and: for i in 0..<n { a[i] &= b[i] }
    case .or: for i in 0..<n { a[i] |= b[i] }
    case .xor: for i in 0..<n { a[i] ^= b[i] }
    case .not: for i in 0..<n { a[i] = ~a[i] }
    case .andNot: for i in 0..<n { a[i] &= ~b[i] }
    }
  }
}
