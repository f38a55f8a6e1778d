import Containers
import TensorCore

/// FULLY_CONNECTED and BATCH_MATMUL.
extension KernelCall {
  /// FULLY_CONNECTED of int8, uint8 and int16; all but the weights' last axis are rows.
  func fullyConnected() throws(KernelError) -> [UInt8] {
    guard case .fullyConnected(let activation, _) = op.options else {
      throw KernelError(reason: "its options are missing")
    }
    let source = try input(0)
    let kernel = try input(1)
    let target = try output()
    guard kernel.type.shape.rank == 2 else { throw KernelError(reason: "its weights have no rows") }
    let channels = kernel.type.shape[0]
    let depth = kernel.type.shape[1]
    let count = source.type.shape.count
    guard channels > 0, depth > 0, count % depth == 0,
      target.shape.count == count / depth * channels
    else { throw KernelError(reason: "its weights do not fit its shapes") }
    let layer = try LayerArithmetic(
      input: source, weights: kernel, bias: optionalInput(2), output: target, channels: channels,
      activation: activation, isLinear: true)
    let rows = count / depth
    let result = [Int](unsafeUninitializedCapacity: rows * channels) { result, written in
      layer.input.withUnsafeBufferPointer { input in
        layer.weights.withUnsafeBufferPointer { weights in
          guard let x = input.baseAddress, let w = weights.baseAddress else { return }
          for row in 0..<rows {
            for o in 0..<channels {
              result[row * channels + o] = layer.finish(
                layer.dot(x + row * depth, w + o * depth, depth), channel: o)
            }
          }
          written = rows * channels
        }
      }
    }
    return layer.encode(result)
  }

  /// BATCH_MATMUL of int8 and int16 with batches that broadcast.
  func batchMatMul() throws(KernelError) -> [UInt8] {
    guard case .batchMatMul(let transposesA, let transposesB) = op.options else {
      throw KernelError(reason: "its options are missing")
    }
    let left = try input(0)
    let right = try input(1)
    let target = try output()
    let (leftScale, leftZero) = try left.type.perTensor()
    let (rightScale, rightZero) = try right.type.perTensor()
    let (outputScale, outputZero) = try target.perTensor()
    let to = target.shape
    let a = left.type.shape
    let b = right.type.shape
    guard to.rank >= 2, a.rank >= 2, b.rank >= 2, let element = target.type.element,
      left.type.type == target.type, right.type.type == target.type
    else { throw KernelError(reason: "no kernel takes its types") }
    let rows = to[to.rank - 2]
    let columns = to[to.rank - 1]
    let depth = a[a.rank - (transposesA ? 2 : 1)]
    guard a[a.rank - (transposesA ? 1 : 2)] == rows,
      b[b.rank - (transposesB ? 2 : 1)] == columns, b[b.rank - (transposesB ? 1 : 2)] == depth
    else { throw KernelError(reason: "its matrices do not fit") }
    let batches = Shape(Array(to.dimensions.dropLast(2)))
    let leftAt = try broadcast(Shape(Array(a.dimensions.dropLast(2))), to: batches)
    let rightAt = try broadcast(Shape(Array(b.dimensions.dropLast(2))), to: batches)
    let scale = try Rescale(
      Double(leftScale * rightScale) / Double(outputScale), wide: target.type == .int16)
    let range = try target.range()
    let x = try left.integers().map { $0 - leftZero }
    let y = try right.integers().map { $0 - rightZero }
    var result: [Int] = []
    result.reserveCapacity(to.count)
    for batch in 0..<batches.count {
      let xs = leftAt[batch] * rows * depth
      let ys = rightAt[batch] * columns * depth
      for row in 0..<rows {
        for column in 0..<columns {
          var sum = 0
          for k in 0..<depth {
            let i = transposesA ? k * rows + row : row * depth + k
            let j = transposesB ? column * depth + k : k * columns + column
            sum &+= x[xs + i] &* y[ys + j]
          }
          result.append(range.limit(scale.apply(sum) + outputZero))
        }
      }
    }
    return encode(result, as: element)
  }
}
