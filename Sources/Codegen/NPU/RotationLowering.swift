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
  /// `rope` (`Docs/Numerics.md`): products with the cosines and sines of the positions, their difference
  /// and sum, scaled. The table's row comes through a base pointer of its own.
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
    if rows == 1 {
      // Both halves of all heads at once: halves × heads × half the channels.
      func halves(_ map: NPUTensor) -> NPUTensor {
        map.viewed(2, width / headDim, half, strideY: half, strideX: headDim)
      }
      body.elementwise(.mul, halves(x), angle(0), halves(straight))
      body.elementwise(.mul, halves(x), angle(1), halves(crossed))
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
    func perHead(_ map: NPUTensor) -> NPUKernel.Second { .tensor(map.viewed(heads, 1, headDim)) }
    let source = x.viewed(heads, rows, headDim, strideY: headDim, strideX: width)
    let place = cache.viewed(heads, rows, headDim, strideY: context * pitch, strideX: pitch)
    let shift = try reader.attribute("shift")
    let offsets = perHead(try reader.constant(3, &params))
    let multipliers = graph[try reader.constantID(4)].data?.integers(Int32.self, count: width)
    if let multiplier = multipliers?.first, multiplier >= 0,
      multipliers?.allSatisfy({ $0 == multiplier }) == true
    {
      // One scale for all channels is the difference's own.
      body.elementwise(
        .sub, source, offsets, place, multiplier: UInt32(multiplier), shift: shift, minimum: -127)
      return
    }
    let centred = body.map(.int32, heads, rows, headDim)
    body.elementwise(.sub, source, offsets, centred)
    body.elementwise(
      .mul, centred, perHead(try reader.constant(4, &params)), place, shift: shift, minimum: -127)
  }
}
