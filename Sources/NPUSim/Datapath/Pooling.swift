/// NPU_OP_POOL on U55 and U65: maximum, average and sums over windows.
struct Pooling<Lane: InputLane> {
  let op: KernelOp
  let mode: PoolingMode
  let input: DenseInput<Lane>
  let stage: OutputStage
  let ofm: MappedTensor

  /// Computes the whole OFM.
  func run(threads: Int) {
    let width = ofm.map.width
    let depth = ofm.map.depth
    let pixels = ofm.map.height * width
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
          stage.apply(values, pixels: n, channels: depth, firstChannel: 0)
          ofm.write(y: y, x: x..<x + n, c: 0..<depth, from: values)
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
}

extension KernelOp {
  /// Whether average pooling divides by the valid elements: U55 and U65 leave the division to OFM_SCALE
  /// when nothing is padded.
  var dividesAverage: Bool { kernel.isPadded }
}
