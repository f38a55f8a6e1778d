import EthosUISA
import ProgramFormat
import Support
import TensorCore

/// What `rope` keeps between its operations.
struct RotationScratch {
  let count: Int

  /// Two maps of all products.
  var bytes: Int { 2 * ((count * 4 + 15) / 16 * 16) }
}

extension OperationLowering {
  /// The tokens' cosines, and their sines, for both halves of a head: what is multiplied lies side by side then.
  func lowerTurns(
    _ rotation: OperandReader, _ params: inout ParamsBuilder, _ body: inout KernelSequence
  ) throws(DiagnosticError) {
    let headDim = try rotation.attribute("head_dim")
    let pitch = try params.placeRotation(try rotation.constantID(2), of: graph).rowBytes / 2
    let (rows, half) = (function.tokens, headDim / 2)
    let ones = try params.ones(rows * headDim).viewed(rows, 2, half)
    for index in 0..<2 {
      let row = NPUTensor(.state, state.rotations, .int16, 1, 1, headDim)
      let turns = NPUTensor(.state, state.turns, .int16, 1, 1, headDim)
      body.elementwise(
        .mul, ones,
        .tensor(row.viewed(rows, 1, half, strideY: pitch, from: index * half)),
        turns.viewed(rows, 2, half, strideY: state.turnPitch, from: index * headDim))
    }
  }

  /// `rope` (`Docs/Numerics.md`): products with the cosines and sines of the positions, their difference
  /// and sum, scaled. The runtime copies the positions' rows of the table into the state region.
  func lowerRotation(
    _ reader: OperandReader, _ params: inout ParamsBuilder, _ body: inout KernelSequence
  ) throws(DiagnosticError) {
    let x = try reader.value(0)
    let out = try reader.result()
    let headDim = try reader.attribute("head_dim")
    let (rows, width, half) = (x.shape.width, x.shape.depth, headDim / 2)
    guard half > 0, width % headDim == 0 else { throw reader.malformed("has no whole heads") }
    let straight = body.map(.int32, 1, rows, width)
    let crossed = body.map(.int32, 1, rows, width)
    let turns = NPUTensor(.state, state.turns, .int16, 1, 1, headDim)
    for (index, product) in [straight, crossed].enumerated() {
      body.elementwise(
        .mul, x.viewed(rows, width / headDim, headDim, strideY: x.pitch),
        .tensor(
          turns.viewed(rows, 1, headDim, strideY: state.turnPitch, from: index * headDim)),
        product.viewed(rows, width / headDim, headDim))
    }
    /// One half of every head: rows × heads × half the channels.
    func part(_ map: NPUTensor, _ index: Int) -> NPUTensor {
      map.viewed(
        rows, width / headDim, half, strideY: map.pitch, strideX: headDim, from: index * half)
    }
    body.elementwise(
      .sub, part(straight, 0), .tensor(part(crossed, 1)), part(out, 0), shift: 14)
    body.elementwise(
      .add, part(straight, 1), .tensor(part(crossed, 0)), part(out, 1), shift: 14)
  }
}
