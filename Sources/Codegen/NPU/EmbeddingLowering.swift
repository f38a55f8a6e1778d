import EthosUISA
import Support

extension OperationLowering {
  /// `embedding` (`Docs/Numerics.md`): one token's row of the table comes through a base pointer; a
  /// batch's rows lie in the state region, where the runtime copies them.
  func lowerEmbedding(
    _ reader: OperandReader, _ tables: inout ParamsBuilder, _ body: inout KernelSequence
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
    body.copy(ids.viewed(1, rows, width, strideX: pitch), to: wide)
    body.elementwise(
      .mul, wide, .tensor(NPUTensor(.state, state.multipliers, .int32, 1, rows, 1)), out,
      shift: try reader.attribute("shift"))
  }
}
