/// NPU_OP_CONV: every OFM channel sees every IFM channel. Fully connected layers are its 1x1 case.
struct Convolution<Lane: InputLane, Weight: FixedWidthInteger & SignedInteger> {
  let op: KernelOp
  let input: DenseInput<Lane>
  let weights: UnsafePointer<Weight>
  /// One per OFM channel.
  let bias: UnsafePointer<Int64>
  let sink: OutputSink
  /// Elements a 32-bit sum can take, see ``DotProduct``.
  let block: Int

  /// Products for one OFM element.
  private var taps: Int { op.kernel.height &* op.kernel.width &* input.depth }

  /// Computes the whole OFM.
  func run(threads: Int) {
    let pixels = op.ofm.height * op.ofm.width
    let channels = op.ofm.depth
    let cost = pixels * channels * taps
    if pixels >= 2 * threads {
      Parallel.forEachSlice(of: pixels, cost: cost, threads: threads) {
        slice(pixels: $0, channels: 0..<channels)
      }
    } else {
      Parallel.forEachSlice(of: channels, cost: cost, threads: threads, alignment: 16) {
        slice(pixels: 0..<pixels, channels: $0)
      }
    }
  }

  /// Computes some pixels (numbered along rows) and channels of the OFM.
  private func slice(pixels: Range<Int>, channels: Range<Int>) {
    let taps = taps
    let width = op.ofm.width
    // Pixels in flight: enough to use each weight row again, few enough to stay in the cache.
    let group = max(1, min(32, pixels.count, 65536 / max(1, taps)))
    let pointwise = op.kernel.isPointwise
    withScratch(pointwise ? 0 : group * taps, of: Lane.self) { patches in
      withScratch(group * channels.count, of: Int64.self) { sums in
        var pixel = pixels.lowerBound
        while pixel < pixels.upperBound {
          let y = pixel / width
          let x = pixel % width
          let n = min(group, pixels.upperBound - pixel, width - x)
          let rows: UnsafePointer<Lane>
          if pointwise {
            rows = UnsafePointer(input.pixel(y, x))
          } else {
            for i in 0..<n { gather(y, x + i, into: patches + i * taps) }
            rows = UnsafePointer(patches)
          }
          multiply(rows, n, channels, into: sums)
          sink.emit(sums, y: y, x: x..<x + n, c: channels)
          pixel += n
        }
      }
    }
  }

  /// `sums[pixel][channel]` for `n` rows of inputs.
  @inline(__always)
  private func multiply(
    _ rows: UnsafePointer<Lane>, _ n: Int, _ channels: Range<Int>,
    into sums: UnsafeMutablePointer<Int64>
  ) {
    let taps = taps
    let stride = channels.count
    for c in channels {
      let row = weights + c &* taps
      let start = bias[c]
      var out = sums + (c &- channels.lowerBound)
      var x = rows
      for _ in 0..<n {
        out.pointee = Lane.dot(x, row, taps, block: block) &+ start
        out += stride
        x += taps
      }
    }
  }

  /// Copies the window of OFM pixel (y, x) into `[ky][kx][c]`.
  @inline(__always)
  private func gather(_ y: Int, _ x: Int, into patch: UnsafeMutablePointer<Lane>) {
    let kernel = op.kernel
    let depth = input.depth
    var out = patch
    for ky in 0..<kernel.height {
      let line = input.pixel(
        y &* kernel.strideY &+ ky &* kernel.dilationY, x &* kernel.strideX)
      if kernel.dilationX == 1 {
        out.update(from: line, count: kernel.width &* depth)
        out += kernel.width &* depth
      } else {
        for kx in 0..<kernel.width {
          out.update(from: line + kx &* kernel.dilationX &* depth, count: depth)
          out += depth
        }
      }
    }
  }
}
