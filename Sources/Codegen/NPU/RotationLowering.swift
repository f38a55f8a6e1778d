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
  /// A token's cosines, and its sines, for both halves of a head: what is multiplied lies side by side then.
  func lowerTurns(
    headDim: Int, _ params: inout ParamsBuilder, _ body: inout KernelSequence
  ) throws(DiagnosticError) {
    let half = headDim / 2
    body.elementwise(
      .mul, try params.ones(state.cacheWidth * 8).viewed(2, 2, half),
      .tensor(NPUTensor(.state, state.rotations, .int16, 2, 1, half)),
      NPUTensor(.state, state.turns, .int16, 2, 2, half))
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
    let pitch = try params.placeRotation(try reader.constantID(2), of: graph).rowBytes / 2
    let angles = NPUTensor(.state, state.rotations, .int16, rows, 1, headDim)
    let straight = body.map(.int32, 1, rows, width)
    let crossed = body.map(.int32, 1, rows, width)
    /// One half of every head: rows × heads × half the channels.
    func part(_ map: NPUTensor, _ index: Int) -> NPUTensor {
      map.viewed(
        rows, width / headDim, half, strideY: map.pitch, strideX: headDim, from: index * half)
    }
    func angle(_ index: Int) -> NPUKernel.Second {
      .tensor(angles.viewed(rows, 1, half, strideY: pitch, strideX: pitch, from: index * half))
    }
    if rows == 1 {
      // Both halves of all heads at once.
      let turns = NPUTensor(.state, state.turns, .int16, 1, 1, 2 * headDim)
      for (index, product) in [straight, crossed].enumerated() {
        body.elementwise(
          .mul, x.viewed(1, width / headDim, headDim),
          .tensor(turns.viewed(1, 1, headDim, from: index * headDim)),
          product.viewed(1, width / headDim, headDim))
      }
    } else {
      for index in 0..<2 {
        body.elementwise(.mul, part(x, index), angle(0), part(straight, index))
        body.elementwise(.mul, part(x, index), angle(1), part(crossed, index))
      }
    }
    body.elementwise(
      .sub, part(straight, 0), .tensor(part(crossed, 1)), part(out, 0), shift: 14)
    body.elementwise(
      .add, part(straight, 1), .tensor(part(crossed, 0)), part(out, 1), shift: 14)
  }
}
