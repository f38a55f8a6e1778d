/// NPU_OP_POOL: extremes, averages, sums and arguments of the maximum over windows.
struct Pooling<Lane: InputLane> {
  let op: KernelOp
  let mode: PoolingMode
  let input: DenseInput<Lane>
  let sink: OutputSink

  /// Computes the whole OFM.
  func run(threads: Int) {
    let width = op.ofm.width
    let depth = op.ofm.depth
    let pixels = op.ofm.height * width
    let cost = pixels * input.depth * op.kernel.height * op.kernel.width
    Parallel.forEachSlice(of: pixels, cost: cost, threads: threads) { slice in
      // Short channel vectors are the rule here, so whole runs of pixels go through the output stage.
      let group = max(1, 1024 / depth)
      withScratch(group * depth, of: Int64.self) { values in
        var pixel = slice.lowerBound
        while pixel < slice.upperBound {
          let y = pixel / width
          let x = pixel % width
          let n = min(group, slice.upperBound - pixel, width - x)
          for i in 0..<n { window(y, x + i, values + i * depth) }
          sink.emit(values, y: y, x: x..<x + n, c: 0..<depth)
          pixel += n
        }
      }
    }
  }

  /// The rows and columns of the window at (y, x), in taps, that are inside the IFM.
  @inline(__always)
  private func validTaps(_ y: Int, _ x: Int) -> (rows: Range<Int>, columns: Range<Int>) {
    func valid(
      _ first: Int, _ taps: Int, _ dilation: Int, _ before: Int, _ limit: Int
    ) -> Range<Int> {
      // Taps at first + k * dilation within before..<limit.
      let lower = first >= before ? 0 : (before &- first &+ dilation &- 1) / dilation
      let upper = first >= limit ? 0 : (limit &- first &+ dilation &- 1) / dilation
      let end = min(taps, upper)
      return min(lower, end)..<end
    }
    let kernel = op.kernel
    return (
      valid(
        y &* kernel.strideY, kernel.height, kernel.dilationY, kernel.padTop,
        input.height &- kernel.padBottom),
      valid(
        x &* kernel.strideX, kernel.width, kernel.dilationX, kernel.padLeft,
        input.width &- kernel.padRight)
    )
  }

  private func window(_ y: Int, _ x: Int, _ out: UnsafeMutablePointer<Int64>) {
    let kernel = op.kernel
    let depth = input.depth
    let taps = validTaps(y, x)
    if mode == .reduceSum {
      var sum: Int64 = 0
      for ky in taps.rows {
        for kx in taps.columns {
          let source = input.pixel(
            y &* kernel.strideY &+ ky &* kernel.dilationY,
            x &* kernel.strideX &+ kx &* kernel.dilationX)
          for c in 0..<depth { sum &+= Int64(truncatingIfNeeded: source[c]) }
        }
      }
      out[0] = sum
      return
    }
    if mode == .argmaxX || mode == .argmaxY {
      argument(y, x, taps.rows, taps.columns, out)
      return
    }
    let isMaximum = mode == .max
    let isMinimum = mode == .min
    // A window without a valid element yields the padding value.
    let start: Int64 =
      taps.rows.isEmpty || taps.columns.isEmpty
      ? 0 : isMaximum ? .min : isMinimum ? .max : 0
    out.update(repeating: start, count: depth)
    for ky in taps.rows {
      for kx in taps.columns {
        let source = input.pixel(
          y &* kernel.strideY &+ ky &* kernel.dilationY,
          x &* kernel.strideX &+ kx &* kernel.dilationX)
        if isMaximum {
          for c in 0..<depth { out[c] = Swift.max(out[c], Int64(truncatingIfNeeded: source[c])) }
        } else if isMinimum {
          for c in 0..<depth { out[c] = Swift.min(out[c], Int64(truncatingIfNeeded: source[c])) }
        } else {
          for c in 0..<depth { out[c] &+= Int64(truncatingIfNeeded: source[c]) }
        }
      }
    }
    if mode == .average && op.dividesAverage {
      let n = Int64(taps.rows.count &* taps.columns.count)
      guard n > 1 else { return }
      for c in 0..<depth {
        // Half away from zero.
        let v = out[c]
        out[c] = v >= 0 ? (v &+ n / 2) / n : 0 &- ((0 &- v &+ n / 2) / n)
      }
    }
  }

  /// Index of the first maximum in the upper half of the accumulator, the value's low bits below.
  private func argument(
    _ y: Int, _ x: Int, _ rows: Range<Int>, _ columns: Range<Int>,
    _ out: UnsafeMutablePointer<Int64>
  ) {
    let kernel = op.kernel
    for c in 0..<input.depth {
      var best = Int64.min
      var index = 0
      for ky in rows {
        for kx in columns {
          let source = input.pixel(
            y &* kernel.strideY &+ ky &* kernel.dilationY,
            x &* kernel.strideX &+ kx &* kernel.dilationX)
          let value = Int64(truncatingIfNeeded: source[c])
          if value > best {
            best = value
            index = mode == .argmaxX ? kx : ky
          }
        }
      }
      out[c] = Int64(index) << 16 | (best & 0xFFFF)
    }
  }
}
