import Containers
import TensorCore

/// TRANSPOSE_CONV.
extension KernelCall {
  /// TRANSPOSE_CONV of int8, uint8 and int16: every input pixel adds its weights to a window of the output.
  func transposedConvolution() throws(KernelError) -> [UInt8] {
    guard case .convolution(let window) = op.options else {
      throw KernelError(reason: "its options are missing")
    }
    let kernel = try input(1)
    let source = try input(2)
    let target = try output()
    let from = source.type.shape
    let taps = kernel.type.shape
    let to = target.shape
    guard from.rank == 4, taps.rank == 4, to.rank == 4, from[0] == to[0], taps[0] == to[3],
      taps[3] == from[3]
    else { throw KernelError(reason: "its weights do not fit its shapes") }
    let layer = try LayerArithmetic(
      input: source, weights: kernel, bias: optionalInput(3), output: target, channels: to[3],
      activation: window.activation)
    // The geometry is that of the convolution that would turn the output back into the input.
    let rows = try WindowAxis(
      input: to[1], kernel: taps[1], output: from[1], stride: window.strideHeight, dilation: 1,
      padding: window.padding)
    let columns = try WindowAxis(
      input: to[2], kernel: taps[2], output: from[2], stride: window.strideWidth, dilation: 1,
      padding: window.padding)
    let depth = from[3]
    var sums = [Int](repeating: 0, count: to.count)
    layer.input.withUnsafeBufferPointer { input in
      layer.weights.withUnsafeBufferPointer { weights in
        guard let x = input.baseAddress, let w = weights.baseAddress else { return }
        for n in 0..<from[0] {
          for iy in 0..<from[1] {
            for ix in 0..<from[2] {
              let pixel = x + ((n * from[1] + iy) * from[2] + ix) * depth
              for ky in rows.taps(iy) {
                let line = (n * to[1] + rows.origin(iy) + ky) * to[2]
                for kx in columns.taps(ix) {
                  let at = (line + columns.origin(ix) + kx) * to[3]
                  for o in 0..<to[3] {
                    let filter = ((o * taps[1] + ky) * taps[2] + kx) * depth
                    sums[at + o] &+= layer.dot(pixel, w + filter, depth)
                  }
                }
              }
            }
          }
        }
      }
    }
    return layer.encode(sums.indices.map { layer.finish(sums[$0], channel: $0 % to[3]) })
  }
}
