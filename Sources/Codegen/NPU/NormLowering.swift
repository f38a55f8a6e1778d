import EthosUISA
import GraphIR
import Support
import TensorCore

/// What `rms_norm` keeps between its operations.
struct NormScratch {
  let rows: Int
  let width: Int

  /// Two maps of the rows, and eight numbers for each row.
  var bytes: Int { 2 * padded(rows * width * 4) + 8 * padded(rows * 4) }

  private func padded(_ bytes: Int) -> Int { (bytes + 15) / 16 * 16 }
}

extension OperationLowering {
  /// `rms_norm` (`Docs/Numerics.md`): the lines there, one operation each.
  func lowerNorm(
    _ reader: OperandReader, _ params: inout ParamsBuilder, _ body: inout KernelSequence
  ) throws(DiagnosticError) {
    let form = NormForm(rawValue: try reader.attribute("form"))
    if form == .near { return try lowerNearNorm(reader, &params, &body) }
    let x = try reader.value(0)
    let (rows, width) = (x.shape.width, x.shape.depth)
    let wide = body.map(.int32, 1, rows, width)
    func number(_ body: inout KernelSequence) -> NPUTensor { body.map(.int32, 1, rows, 1) }
    let squares = number(&body)
    let zeros = number(&body)
    let f = number(&body)
    let normal = number(&body)
    let root = body.map(.int16, 1, rows, 1)
    let factor = number(&body)
    func scalar(_ value: Int32) throws(DiagnosticError) -> NPUKernel.Second {
      .tensor(try params.scalar(value))
    }
    let epsilon = try reader.attribute("eps_q")
    var small = x
    var p: NPUTensor?
    if form == .any {
      // How large the row is, in bits, and the row with 22 of them.
      let (size, down) = (number(&body), number(&body))
      small = body.map(.int32, 1, rows, width)
      body.elementwise(.abs, x, nil, wide)
      body.pool(.channelSum, wide, size)
      body.elementwise(.clz, size, nil, zeros)
      body.elementwise(.sub, zeros, try scalar(10), down, swapped: true)
      body.elementwise(.max, down, try scalar(0), down)
      body.elementwise(.shr, x, .tensor(down), small)
      p = down
    }
    // The sum of squares.
    body.elementwise(.mul, small, .tensor(small), wide, shift: 16)
    body.pool(.channelSum, wide, squares)
    if epsilon > 0 {
      var addend = try scalar(Int32(clamping: epsilon))
      if let p {
        body.elementwise(.add, p, .tensor(p), zeros)
        body.elementwise(.shr, zeros, addend, zeros, swapped: true)
        addend = .tensor(zeros)
      }
      body.elementwise(.add, squares, addend, squares)
    }
    // Its inverse root: a mantissa from the table and half the exponent.
    body.elementwise(.clz, squares, nil, zeros)
    body.elementwise(.sub, zeros, try scalar(2), f, shift: 1)
    body.elementwise(.shl, squares, .tensor(f), normal)
    body.elementwise(.shl, normal, .tensor(f), normal)
    body.table(try params.sharedTable())
    body.elementwise(
      .shr, normal, try scalar(18), root, maximum: FixedTables.largestRoot, usesTable: true)
    body.elementwise(.mul, root, .constant(1), factor)
    body.elementwise(.shl, factor, .tensor(f), factor)
    // The row times it, times gamma.
    body.elementwise(.mul, small, .tensor(factor), wide, shift: 17)
    body.elementwise(
      .mul, wide, .tensor(try reader.constant(1, &params)), try reader.result(),
      shift: try reader.attribute("shift"))
  }

  /// `rms_norm` of rows that are nearly the same in size. The row times gamma does not wait for the root.
  private func lowerNearNorm(
    _ reader: OperandReader, _ params: inout ParamsBuilder, _ body: inout KernelSequence
  ) throws(DiagnosticError) {
    let x = try reader.value(0)
    let (rows, width) = (x.shape.width, x.shape.depth)
    let wide = body.map(.int32, 1, rows, width)
    let scaled = body.map(.int16, 1, rows, width)
    let squares = body.map(.int32, 1, rows, 1)
    let root = body.map(.int16, 1, rows, 1)
    let shift = try reader.attribute("root_shift")
    let addend = FixedTables.rootAddend(epsilon: try reader.attribute("eps_q"), shift: shift)
    body.elementwise(.mul, x, .tensor(x), wide, shift: 16)
    body.pool(.channelSum, wide, squares)
    body.elementwise(
      .mul, x, .tensor(try reader.constant(1, &params)), scaled,
      shift: try reader.attribute("row_shift"))
    body.table(try params.rootTable())
    body.elementwise(
      .add, squares, .tensor(try params.scalar(Int32(clamping: addend))), root, shift: shift,
      maximum: FixedTables.largestWideRoot, usesTable: true)
    body.elementwise(
      .mul, scaled, .tensor(root), try reader.result(),
      multiplier: UInt32(try reader.attribute("multiplier")), shift: try reader.attribute("shift"))
  }
}
