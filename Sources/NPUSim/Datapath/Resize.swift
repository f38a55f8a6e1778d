/// NPU_OP_RESIZE of U85: samples between the elements of the IFM.
struct Resize {
  let op: KernelOp
  let mode: ResizeMode
  let y: ResizeAxis
  let x: ResizeAxis
  let ifm: MappedTensor
  let sink: OutputSink

  /// Neighbours of an output coordinate and the weight of the second one.
  private struct Sample {
    var first: Int
    var second: Int
    var weight: Int
  }

  private func sample(_ index: Int, _ axis: ResizeAxis, _ size: Int) -> Sample {
    let position = index &* axis.step &+ axis.offset
    // Floor, also below the first element.
    let i = position >= 0 ? position / axis.divisor : -1
    let rest = position &- i &* axis.divisor
    func clamped(_ i: Int) -> Int { max(0, min(size - 1, i)) }
    return Sample(first: clamped(i), second: clamped(i &+ 1), weight: rest)
  }

  /// Computes the whole OFM.
  func run(threads: Int) {
    let width = op.ofm.width
    let depth = op.ofm.depth
    let inputs = ifm.map.width * depth
    let columns = (0..<width).map { sample($0, x, ifm.map.width) }
    let cost = op.ofm.height * width * depth * 8
    Parallel.forEachSlice(of: op.ofm.height, cost: cost, threads: threads) { rows in
      withScratch(2 * inputs + depth, of: Int64.self) { buffer in
        let upper = buffer
        let lower = buffer + inputs
        let values = buffer + 2 * inputs
        for row in rows {
          let v = sample(row, y, ifm.map.height)
          ifm.read(y: v.first, x: 0..<ifm.map.width, c: 0..<depth, into: upper)
          ifm.read(y: v.second, x: 0..<ifm.map.width, c: 0..<depth, into: lower)
          for column in 0..<width {
            interpolate(upper, lower, v, columns[column], values)
            sink.emit(values, y: row, x: column..<column + 1, c: 0..<depth)
          }
        }
      }
    }
  }

  private func interpolate(
    _ upper: UnsafePointer<Int64>, _ lower: UnsafePointer<Int64>, _ v: Sample, _ h: Sample,
    _ out: UnsafeMutablePointer<Int64>
  ) {
    let depth = op.ofm.depth
    let left = h.first * depth
    let right = h.second * depth
    switch mode {
    case .bilinear:
      let (wy, wx) = (Int64(v.weight), Int64(h.weight))
      let (uy, ux) = (Int64(y.divisor) - wy, Int64(x.divisor) - wx)
      for c in 0..<depth {
        let top = upper[left + c] &* ux &+ upper[right + c] &* wx
        let bottom = lower[left + c] &* ux &+ lower[right + c] &* wx
        out[c] = (top &* uy &+ bottom &* wy) << 16
      }
    case .nearest, .replicate:
      let isNearest = mode == .nearest
      let row = isNearest && 2 * v.weight >= y.divisor ? lower : upper
      let column = isNearest && 2 * h.weight >= x.divisor ? right : left
      for c in 0..<depth { out[c] = row[column + c] << 16 }
    }
  }
}
