/// NPU_OP_DEPTHWISE: OFM channel `c` sees IFM channel `c` alone.
struct Depthwise<Lane: InputLane, Weight: FixedWidthInteger & SignedInteger> {
  let op: KernelOp
  let input: DenseInput<Lane>
  /// `[ky][kx][channel]`.
  let weights: UnsafePointer<Weight>
  let bias: UnsafePointer<Int64>
  let sink: OutputSink
  /// Taps a 32-bit sum can take.
  let block: Int

  /// Computes the whole OFM.
  func run(threads: Int) {
    let width = op.ofm.width
    let depth = op.ofm.depth
    let pixels = op.ofm.height * width
    let cost = pixels * depth * op.kernel.height * op.kernel.width
    Parallel.forEachSlice(of: pixels, cost: cost, threads: threads) { slice in
      withScratch(depth, of: Int64.self) { sums in
        withScratch(depth, of: Int32.self) { partial in
          for pixel in slice {
            let y = pixel / width
            let x = pixel % width
            accumulate(y, x, sums, partial)
            sink.emit(sums, y: y, x: x..<x + 1, c: 0..<depth)
          }
        }
      }
    }
  }

  @inline(__always)
  private func accumulate(
    _ y: Int, _ x: Int, _ sums: UnsafeMutablePointer<Int64>, _ partial: UnsafeMutablePointer<Int32>
  ) {
    let kernel = op.kernel
    let depth = input.depth
    sums.update(from: bias, count: depth)
    let isNarrow = Lane.self == Int16.self
    if isNarrow { partial.update(repeating: 0, count: depth) }
    var pending = 0
    var w = weights
    for ky in 0..<kernel.height {
      for kx in 0..<kernel.width {
        let source = input.pixel(
          y &* kernel.strideY &+ ky &* kernel.dilationY,
          x &* kernel.strideX &+ kx &* kernel.dilationX)
        if isNarrow {
          for c in 0..<depth {
            partial[c] &+=
              Int32(truncatingIfNeeded: source[c]) &* Int32(truncatingIfNeeded: w[c])
          }
          pending &+= 1
          if pending == block {
            for c in 0..<depth {
              sums[c] &+= Int64(partial[c])
              partial[c] = 0
            }
            pending = 0
          }
        } else {
          for c in 0..<depth {
            sums[c] &+= Int64(truncatingIfNeeded: source[c]) &* Int64(truncatingIfNeeded: w[c])
          }
        }
        w += depth
      }
    }
    if pending > 0 {
      for c in 0..<depth { sums[c] &+= Int64(partial[c]) }
    }
  }
}
