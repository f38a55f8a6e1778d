import EthosUISA
import ProgramFormat
import Support
import TensorCore

/// What `rope` keeps between its operations.
struct RotationScratch {
  let count: Int

  /// Two maps of all products.
  var bytes: Int { 2 * ((count * 2 + 15) / 16 * 16) }
}

extension OperationLowering {
  /// `rope` (`Docs/Numerics.md`): products with the cosines and sines of the positions, their difference
  /// and sum. The runtime copies the positions' rows of the table into the state region.
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
    let straight = body.map(.int16, 1, rows, width)
    let crossed = body.map(.int16, 1, rows, width)
    /// One half of every head: rows × heads × half the channels.
    func part(_ map: NPUTensor, _ index: Int) -> NPUTensor {
      map.viewed(
        rows, width / headDim, half, strideY: map.pitch, strideX: headDim, from: index * half)
    }
    func angle(_ index: Int) -> NPUKernel.Second {
      .tensor(angles.viewed(rows, 1, half, strideY: pitch, strideX: pitch, from: index * half))
    }
    if rows == 1 {
      // Both halves of all heads at once: halves × heads × half the channels.
      func halves(_ map: NPUTensor) -> NPUTensor {
        map.viewed(2, width / headDim, half, strideY: half, strideX: headDim)
      }
      body.elementwise(.mul, halves(x), angle(0), halves(straight), shift: 14)
      body.elementwise(.mul, halves(x), angle(1), halves(crossed), shift: 14)
    } else {
      for index in 0..<2 {
        body.elementwise(.mul, part(x, index), angle(0), part(straight, index), shift: 14)
        body.elementwise(.mul, part(x, index), angle(1), part(crossed, index), shift: 14)
      }
    }
    body.elementwise(
      .sub, part(straight, 0), .tensor(part(crossed, 1)), part(out, 0))
    body.elementwise(
      .add, part(straight, 1), .tensor(part(crossed, 0)), part(out, 1))
  }
}
