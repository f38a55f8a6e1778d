import Containers
import TensorCore

/// AVERAGE_POOL_2D and MAX_POOL_2D.
extension KernelCall {
  /// Either pooling of int8, uint8 and int16. Padding does not count; means round half away from zero.
  func pooling(isAverage: Bool) throws(KernelError) -> [UInt8] {
    guard case .pool(let window, let height, let width) = op.options else {
      throw KernelError(reason: "its options are missing")
    }
    let source = try input(0)
    let target = try output()
    let from = source.type.shape
    let to = target.shape
    guard from.rank == 4, to.rank == 4, from[0] == to[0], from[3] == to[3],
      source.type.type == target.type, let element = target.type.element
    else { throw KernelError(reason: "its shapes do not fit") }
    let clamp = try window.activation.clamp(target)
    let rows = try WindowAxis(
      input: from[1], kernel: height, output: to[1], stride: window.strideHeight, dilation: 1,
      padding: window.padding)
    let columns = try WindowAxis(
      input: from[2], kernel: width, output: to[2], stride: window.strideWidth, dilation: 1,
      padding: window.padding)
    let values = try source.integers()
    let channels = to[3]
    var result: [Int] = []
    result.reserveCapacity(to.count)
    var cells = [Int](repeating: 0, count: channels)
    for n in 0..<to[0] {
      for oy in 0..<to[1] {
        for ox in 0..<to[2] {
          for c in 0..<channels { cells[c] = isAverage ? 0 : Int.min }
          let ys = rows.taps(oy)
          let xs = columns.taps(ox)
          for ky in ys {
            for kx in xs {
              let y = rows.origin(oy) + ky
              let at = ((n * from[1] + y) * from[2] + columns.origin(ox) + kx) * channels
              for c in 0..<channels {
                cells[c] =
                  isAverage ? cells[c] &+ values[at + c] : max(cells[c], values[at + c])
              }
            }
          }
          let count = ys.count * xs.count
          guard count > 0 else { throw KernelError(reason: "a window lies outside its input") }
          for c in 0..<channels {
            let cell = cells[c]
            let value = isAverage ? (cell + (cell > 0 ? count / 2 : -(count / 2))) / count : cell
            result.append(clamp.limit(value))
          }
        }
      }
    }
    return encode(result, as: element)
  }
}
