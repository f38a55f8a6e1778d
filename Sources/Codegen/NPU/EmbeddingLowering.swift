import EthosUISA
import Support

extension OperationLowering {
  /// `embedding` (`Docs/Numerics.md`): one token's row of the table comes through a base pointer; a
  /// batch's rows lie in the state region, where the runtime copies them.
  ///
  /// Of a table of four bits a byte holds two numbers `h` and `l` of the row's halves as `16 h + l`, a signed number:
  /// rounding it to sixteens gives `h`, and the rest is `l` (``ParamsBuilder/packedRows(_:columns:)``).
  func lowerEmbedding(
    _ reader: OperandReader, _ params: inout ParamsBuilder, _ tables: inout ParamsBuilder,
    _ body: inout KernelSequence
  ) throws(DiagnosticError) {
    let pitch = try tables.placeEmbedding(
      try reader.constantID(1), try reader.constantID(2), of: graph)
    let out = try reader.result()
    let (rows, width) = (out.shape.width, out.shape.depth)
    let ids =
      rows == 1
      ? NPUTensor(.embeddingRow, 0, .int8, 1, 1, width)
      : NPUTensor(.state, state.embeddings, .int8, 1, rows, width)
    let wide = body.map(.int32, 1, rows, width)
    if try reader.type(1).element == .int4 {
      let half = width / 2
      let bytes = ids.viewed(1, rows, half, strideX: pitch)
      let numbers = body.map(.int8, 1, rows, width)
      let lower = numbers.viewed(1, rows, half, strideX: width)
      let upper = numbers.viewed(1, rows, half, strideX: width, from: half)
      body.elementwise(.mul, bytes, .constant(1), upper, shift: 4)
      body.elementwise(.sub, bytes, .tensor(upper), lower, secondScale: 16)
      body.elementwise(.mul, numbers, .tensor(try reader.constant(3, &params)), wide)
    } else {
      body.copy(ids.viewed(1, rows, width, strideX: pitch), to: wide)
    }
    body.elementwise(
      .mul, wide, .tensor(NPUTensor(.state, state.multipliers, .int32, 1, rows, 1)), out,
      shift: try reader.attribute("shift"))
  }

  /// What ``lowerEmbedding(_:_:_:_:)`` keeps between its operations: the result, and of packed tables a byte for
  /// each number.
  static func embeddingScratch(resultBytes: Int, isPacked: Bool) -> Int {
    func padded(_ bytes: Int) -> Int { (bytes + 15) / 16 * 16 }
    return padded(resultBytes) + (isPacked ? padded(resultBytes / 4) : 0)
  }
}
