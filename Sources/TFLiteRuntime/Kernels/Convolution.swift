import Containers
import TensorCore

/// CONV_2D and DEPTHWISE_CONV_2D.
extension KernelCall {
  /// CONV_2D of int8, uint8 and int16, with groups where the weights are less deep than the input.
  func convolution() throws(KernelError) -> [UInt8] {
    guard case .convolution(let window) = op.options else {
      throw KernelError(reason: "its options are missing")
    }
    let source = try input(0)
    let kernel = try input(1)
    let target = try output()
    let from = source.type.shape
    let taps = kernel.type.shape
    let to = target.shape
    guard from.rank == 4, taps.rank == 4, to.rank == 4, from[0] == to[0], taps[0] == to[3],
      taps[3] > 0, from[3] % taps[3] == 0, from[3] > 0, to[3] % (from[3] / taps[3]) == 0
    else { throw KernelError(reason: "its weights do not fit its shapes") }
    let layer = try LayerArithmetic(
      input: source, weights: kernel, bias: optionalInput(2), output: target, channels: to[3],
      activation: window.activation)
    let (rows, columns) = try WindowAxis.pair(window, input: from, taps: taps, output: to)
    let depth = taps[3]
    let perGroup = to[3] / (from[3] / depth)
    // Neighbouring taps are neighbouring bytes unless a group or a dilation leaves gaps.
    let isDense = depth == from[3] && columns.dilation == 1
    let result = [Int](unsafeUninitializedCapacity: to.count) { result, count in
      layer.input.withUnsafeBufferPointer { input in
        layer.weights.withUnsafeBufferPointer { weights in
          guard let x = input.baseAddress, let w = weights.baseAddress else { return }
          var next = 0
          for n in 0..<to[0] {
            for oy in 0..<to[1] {
              let ys = rows.taps(oy)
              for ox in 0..<to[2] {
                let xs = columns.taps(ox)
                for o in 0..<to[3] {
                  let base = (o / perGroup) * depth
                  var sum = 0
                  for ky in ys {
                    let y = rows.origin(oy) + ky * rows.dilation
                    let line = (n * from[1] + y) * from[2]
                    let filter = (o * taps[1] + ky) * taps[2]
                    if isDense {
                      let first = line + columns.origin(ox) + xs.lowerBound
                      sum &+= layer.dot(
                        x + first * depth, w + (filter + xs.lowerBound) * depth, xs.count * depth)
                    } else {
                      for kx in xs {
                        let at = line + columns.origin(ox) + kx * columns.dilation
                        sum &+= layer.dot(x + at * from[3] + base, w + (filter + kx) * depth, depth)
                      }
                    }
                  }
                  result[next] = layer.finish(sum, channel: o)
                  next += 1
                }
              }
            }
          }
          count = next
        }
      }
    }
    return layer.encode(result)
  }

  /// DEPTHWISE_CONV_2D of int8, uint8 and int16: output channel `c * multiplier + m` sees input `c`.
  func depthwiseConvolution() throws(KernelError) -> [UInt8] {
    guard case .depthwise(let window, _) = op.options else {
      throw KernelError(reason: "its options are missing")
    }
    let source = try input(0)
    let kernel = try input(1)
    let target = try output()
    let from = source.type.shape
    let taps = kernel.type.shape
    let to = target.shape
    guard from.rank == 4, taps.rank == 4, to.rank == 4, from[0] == to[0], taps[0] == 1,
      taps[3] == to[3], from[3] > 0, to[3] % from[3] == 0
    else { throw KernelError(reason: "its weights do not fit its shapes") }
    let layer = try LayerArithmetic(
      input: source, weights: kernel, bias: optionalInput(2), output: target, channels: to[3],
      activation: window.activation)
    let (rows, columns) = try WindowAxis.pair(window, input: from, taps: taps, output: to)
    let channels = to[3]
    let factor = channels / from[3]
    var sums = [Int](repeating: 0, count: channels)
    let result = [Int](unsafeUninitializedCapacity: to.count) { result, count in
      layer.input.withUnsafeBufferPointer { x in
        layer.weights.withUnsafeBufferPointer { w in
          sums.withUnsafeMutableBufferPointer { sums in
            var next = 0
            for n in 0..<to[0] {
              for oy in 0..<to[1] {
                for ox in 0..<to[2] {
                  sums.update(repeating: 0)
                  for ky in rows.taps(oy) {
                    let y = rows.origin(oy) + ky * rows.dilation
                    for kx in columns.taps(ox) {
                      let at = columns.origin(ox) + kx * columns.dilation
                      let pixel = ((n * from[1] + y) * from[2] + at) * from[3]
                      let filter = (ky * taps[2] + kx) * channels
                      if factor == 1 {
                        for c in 0..<channels {
                          sums[c] &+= Int(Int32(x[pixel &+ c]) &* Int32(w[filter &+ c]))
                        }
                      } else {
                        for c in 0..<channels {
                          sums[c] &+= Int(Int32(x[pixel + c / factor]) &* Int32(w[filter + c]))
                        }
                      }
                    }
                  }
                  for c in 0..<channels {
                    result[next] = layer.finish(sums[c], channel: c)
                    next += 1
                  }
                }
              }
            }
            count = next
          }
        }
      }
    }
    return layer.encode(result)
  }
}
