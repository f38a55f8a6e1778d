/// Where accumulators go: to the output stage and the OFM, or to the accumulators of the next operation.
struct OutputSink {
  let op: KernelOp
  let stage: OutputStage
  /// The OFM as stored; `nil` when the operation does not write it.
  let ofm: MappedTensor?
  /// Bias by channel, added when results leave the accumulators; empty when it is part of the sums.
  var bias: [Int64] = []
  /// U85: what accumulators start with, when they are an IFM2 in memory.
  var initial: MappedTensor?
  /// U85: accumulators of the whole OFM, `[y][x][c]`, that the operation reads (`kept`) or leaves behind.
  var accumulators: UnsafeMutablePointer<Int64>?

  /// Takes finished sums `[x][c]` of row `y`; they are overwritten.
  @inline(__always)
  func emit(_ sums: UnsafeMutablePointer<Int64>, y: Int, x: Range<Int>, c: Range<Int>) {
    if initial != nil || accumulators != nil { accumulate(sums, y, x, c) }
    guard let ofm else { return }
    stage.apply(sums, pixels: x.count, channels: c.count, firstChannel: c.lowerBound)
    if op.isStoredInOrder {
      ofm.write(y: y, x: x, c: c, from: sums)
    } else {
      scatter(sums, ofm, y, x, c)
    }
  }

  /// Adds what the accumulators held before and, when nothing is written, stores the sum.
  private func accumulate(
    _ sums: UnsafeMutablePointer<Int64>, _ y: Int, _ x: Range<Int>, _ c: Range<Int>
  ) {
    let n = x.count &* c.count
    if let initial {
      withScratch(n, of: Int64.self) { values in
        initial.read(y: y, x: x, c: c, into: values)
        for i in 0..<n { sums[i] &+= values[i] }
      }
    }
    if let accumulators {
      let depth = op.ofm.depth
      for i in 0..<x.count {
        let own = accumulators + ((y &* op.ofm.width &+ x.lowerBound &+ i) &* depth &+ c.lowerBound)
        let row = sums + i &* c.count
        if op.accumulatorInput == .kept {
          for j in 0..<c.count { row[j] &+= own[j] }
        }
        if !op.writesOutput { own.update(from: row, count: c.count) }
      }
    }
    guard !bias.isEmpty, op.writesOutput else { return }
    for i in 0..<x.count {
      for j in 0..<c.count { sums[i &* c.count &+ j] &+= bias[c.lowerBound &+ j] }
    }
  }

  /// Stores transposed or backwards, element by element.
  private func scatter(
    _ values: UnsafePointer<Int64>, _ ofm: MappedTensor, _ y: Int, _ x: Range<Int>, _ c: Range<Int>
  ) {
    let sources = op.transposition.sources
    var i = 0
    for column in x {
      for channel in c {
        func coordinate(_ axis: Int) -> Int { axis == 0 ? y : axis == 1 ? column : channel }
        var row = coordinate(sources.0)
        var pixel = coordinate(sources.1)
        var lane = coordinate(sources.2)
        switch op.reversal {
        case .none: break
        case .height: row = ofm.map.height &- 1 &- row
        case .width: pixel = ofm.map.width &- 1 &- pixel
        case .depth: lane = ofm.map.depth &- 1 &- lane
        }
        ofm.store(values[i], at: ofm.element(row, pixel, lane))
        i &+= 1
      }
    }
  }
}
