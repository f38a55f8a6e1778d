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
  /// `rope` (`Docs/Numerics.md`): products with the cosines and sines of the positions, their sum and
  /// difference. The table's row comes through a base pointer of its own.
  func lowerRotation(
    _ reader: OperandReader, _ params: inout ParamsBuilder, _ body: inout KernelSequence
  ) throws(DiagnosticError) {
    let x = try reader.value(0)
    let out = try reader.result()
    let headDim = try reader.attribute("head_dim")
    let (rows, width, half) = (x.shape.width, x.shape.depth, headDim / 2)
    guard half > 0, width % headDim == 0 else { throw reader.malformed("has no whole heads") }
    let pitch = try params.placeRotation(try reader.constantID(2), of: graph).rowBytes / 2
    let angles = NPUTensor(.rotation, 0, .int16, rows, 1, headDim)
    let straight = body.map(.int32, 1, rows, width)
    let crossed = body.map(.int32, 1, rows, width)
    /// One half of every head: rows × heads × half the channels.
    func part(_ map: NPUTensor, _ index: Int) -> NPUTensor {
      map.viewed(
        rows, width / headDim, half, strideY: width, strideX: headDim, from: index * half)
    }
    func angle(_ index: Int) -> NPUKernel.Second {
      .tensor(angles.viewed(rows, 1, half, strideY: pitch, strideX: pitch, from: index * half))
    }
    body.elementwise(.mul, part(x, 0), angle(0), part(straight, 0))
    body.elementwise(.mul, part(x, 1), angle(1), part(crossed, 0))
    body.elementwise(.mul, part(x, 0), angle(1), part(straight, 1))
    body.elementwise(.mul, part(x, 1), angle(0), part(crossed, 1))
    body.elementwise(
      .sub, part(straight, 0), .tensor(part(crossed, 0)), part(straight, 0))
    body.elementwise(
      .add, part(straight, 1), .tensor(part(crossed, 1)), part(straight, 1))
    body.elementwise(.shr, straight, .tensor(try params.scalar(14)), out)
  }

  /// `kv_write` (`Docs/Numerics.md`): centred, scaled and stored in each head's row of the position.
  func lowerCacheWrite(
    _ reader: OperandReader, _ params: inout ParamsBuilder, _ body: inout KernelSequence
  ) throws(DiagnosticError) {
    let x = try reader.value(0)
    var cache = try reader.state(2)
    let (heads, context, pitch) = (cache.shape.height, cache.shape.width, cache.shape.depth)
    let (rows, width) = (x.shape.width, x.shape.depth)
    let headDim = width / heads
    try params.noteCacheRow(bytes: pitch)
    cache.base = .cacheRow
    let centred = body.map(.int32, heads, rows, headDim)
    func perHead(_ map: NPUTensor) -> NPUKernel.Second { .tensor(map.viewed(heads, 1, headDim)) }
    body.elementwise(
      .sub, x.viewed(heads, rows, headDim, strideY: headDim, strideX: width),
      perHead(try reader.constant(3, &params)), centred)
    body.elementwise(
      .mul, centred, perHead(try reader.constant(4, &params)),
      cache.viewed(heads, rows, headDim, strideY: context * pitch, strideX: pitch),
      shift: try reader.attribute("shift"), minimum: -127)
  }
}
