import Containers
import TensorCore

/// RESIZE_BILINEAR and RESIZE_NEAREST_NEIGHBOR.
extension KernelCall {
  /// One axis of a resize, as TFLite's options describe it.
  private struct Axis {
    let input, output: Int
    let alignCorners, halfPixelCentres: Bool

    /// Corners are a step apart only where there are two of each.
    var isAligned: Bool { alignCorners && output > 1 }
  }

  private func axes() throws(KernelError) -> (source: KernelTensor, rows: Axis, columns: Axis) {
    guard case .resize(let alignCorners, let halfPixelCentres) = op.options else {
      throw KernelError(reason: "its options are missing")
    }
    let source = try input(0)
    let target = try output()
    let from = source.type.shape
    let to = target.shape
    guard from.rank == 4, to.rank == 4, from[0] == to[0], from[3] == to[3], from[1] > 0,
      from[2] > 0, source.type.type == target.type
    else { throw KernelError(reason: "its shapes do not fit") }
    func axis(_ i: Int) -> Axis {
      Axis(
        input: from[i], output: to[i], alignCorners: alignCorners,
        halfPixelCentres: halfPixelCentres)
    }
    return (source, axis(1), axis(2))
  }

  /// RESIZE_BILINEAR of integers: positions and weights with 10 fraction bits.
  func resizedBilinear() throws(KernelError) -> [UInt8] {
    let (source, rows, columns) = try axes()
    guard let element = source.type.type.element else {
      throw KernelError(reason: "its element type has no kernel")
    }
    let values = try source.integers()
    let shape = source.type.shape
    func taps(_ axis: Axis) -> [(low: Int, high: Int, fraction: Int)] {
      var scale = ((1 << 10) * axis.input + axis.output / 2) / max(axis.output, 1)
      if axis.isAligned {
        scale = ((1 << 10) * (axis.input - 1) + (axis.output - 1) / 2) / (axis.output - 1)
      }
      return (0..<axis.output).map { i in
        let at = axis.halfPixelCentres ? i * scale + scale / 2 - (1 << 9) : i * scale
        let low = max(at / (1 << 10), 0)
        let high = min((at + (1 << 10) - 1) / (1 << 10), axis.input - 1)
        return (min(low, axis.input - 1), max(high, 0), at - (1 << 10) * low)
      }
    }
    let ys = taps(rows)
    let xs = taps(columns)
    let depth = shape[3]
    var result: [Int] = []
    result.reserveCapacity(shape[0] * ys.count * xs.count * depth)
    for n in 0..<shape[0] {
      for y in ys {
        let top = (n * shape[1] + y.low) * shape[2]
        let bottom = (n * shape[1] + y.high) * shape[2]
        for x in xs {
          for c in 0..<depth {
            let one = 1 << 10
            let sum =
              values[(top + x.low) * depth + c] * (one - y.fraction) * (one - x.fraction)
              + values[(bottom + x.low) * depth + c] * y.fraction * (one - x.fraction)
              + values[(top + x.high) * depth + c] * (one - y.fraction) * x.fraction
              + values[(bottom + x.high) * depth + c] * y.fraction * x.fraction
            result.append((sum + (sum > 0 ? 1 << 19 : -(1 << 19))) / (1 << 20))
          }
        }
      }
    }
    return encode(result, as: element)
  }

  /// RESIZE_NEAREST_NEIGHBOR: positions in float32.
  func resizedNearest() throws(KernelError) -> [UInt8] {
    let (source, rows, columns) = try axes()
    guard let width = source.type.type.element?.byteCount else {
      throw KernelError(reason: "its element type has no kernel")
    }
    func places(_ axis: Axis) -> [Int] {
      let scale =
        axis.isAligned
        ? Float(axis.input - 1) / Float(axis.output - 1) : Float(axis.input) / Float(axis.output)
      let offset: Float = axis.halfPixelCentres ? 0.5 : 0
      return (0..<axis.output).map { i in
        let at = (Float(i) + offset) * scale
        let place = Int(
          axis.alignCorners ? at.rounded(.toNearestOrAwayFromZero) : at.rounded(.down))
        return max(0, min(place, axis.input - 1))
      }
    }
    let shape = source.type.shape
    let pixel = shape[3] * width
    let xs = places(columns)
    var result: [UInt8] = []
    for n in 0..<shape[0] {
      for y in places(rows) {
        for x in xs {
          let at = ((n * shape[1] + y) * shape[2] + x) * pixel
          result += source.bytes[at..<at + pixel]
        }
      }
    }
    return result
  }
}
