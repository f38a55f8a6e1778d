/// An element type that input data is widened to before arithmetic.
protocol InputLane: FixedWidthInteger, SignedInteger, BitwiseCopyable {
  /// `sum(x[i] * w[i])`.
  static func dot<W: FixedWidthInteger & SignedInteger>(
    _ x: UnsafePointer<Self>, _ w: UnsafePointer<W>, _ n: Int, block: Int
  ) -> Int64
}

extension Int16: InputLane {
  @inline(__always)
  static func dot<W: FixedWidthInteger & SignedInteger>(
    _ x: UnsafePointer<Int16>, _ w: UnsafePointer<W>, _ n: Int, block: Int
  ) -> Int64 {
    DotProduct.narrow(x, w, n, block: block)
  }
}

extension Int64: InputLane {
  @inline(__always)
  static func dot<W: FixedWidthInteger & SignedInteger>(
    _ x: UnsafePointer<Int64>, _ w: UnsafePointer<W>, _ n: Int, block: Int
  ) -> Int64 {
    DotProduct.wide(x, w, n)
  }
}

/// The whole IFM of a window operation as a dense `[y][x][c]` array: zero point removed, upscaled and
/// padded with zeros.
struct DenseInput<Lane: InputLane> {
  let values: UnsafeMutablePointer<Lane>
  /// Extent including padding.
  let height: Int
  let width: Int
  let depth: Int

  /// Extent that the kernel and OFM imply, padding included.
  static func extent(_ op: KernelOp) -> (height: Int, width: Int) {
    (
      (op.ofm.height - 1) * op.kernel.strideY + op.kernel.dilatedHeight,
      (op.ofm.width - 1) * op.kernel.strideX + op.kernel.dilatedWidth
    )
  }

  /// Reads the IFM. The caller calls ``release()``.
  init(_ op: KernelOp, _ ifm: MappedTensor) {
    let kernel = op.kernel
    (height, width) = Self.extent(op)
    depth = ifm.map.depth
    let count = height * width * depth
    values = .allocate(capacity: max(1, count))
    if kernel.isPointwise {
      for y in 0..<height {
        ifm.read(y: y, x: 0..<width, c: 0..<depth, into: values + y * width * depth)
      }
      return
    }
    values.initialize(repeating: 0, count: count)
    let innerHeight = height - kernel.padTop - kernel.padBottom
    let innerWidth = width - kernel.padLeft - kernel.padRight
    if kernel.upscale == .none {
      for y in 0..<innerHeight {
        let row = ((y + kernel.padTop) * width + kernel.padLeft) * depth
        ifm.read(y: y, x: 0..<innerWidth, c: 0..<depth, into: values + row)
      }
      return
    }
    let rowCount = ifm.map.width * depth
    let rowBuffer = UnsafeMutablePointer<Lane>.allocate(capacity: max(1, rowCount))
    defer { rowBuffer.deallocate() }
    for y in 0..<innerHeight where kernel.upscale == .nearest || y % 2 == 0 {
      ifm.read(y: y / 2, x: 0..<ifm.map.width, c: 0..<depth, into: rowBuffer)
      let row = values + ((y + kernel.padTop) * width + kernel.padLeft) * depth
      for x in 0..<innerWidth where kernel.upscale == .nearest || x % 2 == 0 {
        (row + x * depth).update(from: rowBuffer + x / 2 * depth, count: depth)
      }
    }
  }

  func release() {
    values.deallocate()
  }

  /// The first channel of padded pixel (y, x).
  @inline(__always)
  func pixel(_ y: Int, _ x: Int) -> UnsafeMutablePointer<Lane> {
    values + (y &* width &+ x) &* depth
  }
}
