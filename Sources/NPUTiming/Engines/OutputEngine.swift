/// The output unit: scales, activates and packs slices of accumulators, or elementwise inputs.
struct OutputState {
  var kernel = 0
  var block = 0
  var slice = 0
  var piece = 0
  var time = 0
  var blockStart = 0
  /// Bytes of the slice's scale records already taken, and when.
  var records = 0
  var recordTime = 0
  /// When the slice before was started: its records have left the buffer then.
  var previousStart = 0
  /// When the last products of the slice were there.
  var sliceLast = 0
  /// What was produced and waits to be written.
  var pieces = Queue<Piece>()
  /// When all of a piece had left, by running number.
  var left = Queue<Int>()

  struct Piece {
    var kernel: Int
    var start: Int
    var cycles: Int
    var runs: KernelPlan.Runs
    /// Rows of microblocks, each of which leaves when it is complete.
    var rows: Int
    var endsBlock: Bool
  }
}

/// Writes output to memory.
struct WriterState {
  var cursor: TransactionCursor?
  var written = 0
  var count = 0
  var lastRequest = 0
  var latest = 0
  var started = 0
}

extension JobSimulation {
  mutating func emit() -> Bool {
    var moved = false
    while output.kernel < kernels.count {
      let index = output.kernel
      let plan = kernels[index].plan
      if output.block >= plan.blocks {
        output.kernel += 1
        output.block = 0
        continue
      }
      let place = plan.block(output.block)
      let slices = ceilDivide(place.depth, plan.sliceDepth)
      let depth = min(plan.sliceDepth, place.depth - output.slice * plan.sliceDepth)
      let elements = place.height * place.width * depth
      let bits = (plan.chainedOutput ?? plan.kernel.ofm).bits
      // Half of the output buffer at a time, so that one half is written while the other fills.
      let half = max(micro.outputBuffer / 2, 1)
      let pieces = max(1, ceilDivide(elements * bits / 8, half))
      var start = max(output.time, kernels[index].issued)
      var sliceLast = output.piece == 0 ? 0 : output.sliceLast
      let isBlockStart = output.slice == 0 && output.piece == 0
      if output.piece == 0 {
        if plan.usesArray {
          guard let ready = array.slices.front else { return moved }
          kernels[index].busy.accumulatorStarve += max(0, ready.first + micro.handOver - start)
          start = max(start, ready.first + micro.handOver)
          sliceLast = ready.last + micro.handOver
        } else if isBlockStart {
          start = max(start, kernels[index].issued + micro.kernelStart)
          if plan.readsInput {
            guard let ready = input.elementwiseReady.front else { return moved }
            kernels[index].busy.inputWait += max(0, ready.first + micro.handOver - start)
            start = max(start, ready.first + micro.handOver)
            sliceLast = ready.last + micro.handOver
          }
        }
      }
      let number = output.pieces.end
      if number >= 2 {
        guard let room = output.left[number - 2] else { return moved }
        output.left.drop(before: number - 2)
        kernels[index].busy.writeWait += max(0, room - start)
        start = max(start, room)
      }
      // The records of a piece's channels, wherever the piece starts in them.
      let records = output.piece == 0 ? plan.scaleBytes(place, slice: output.slice) : 0
      if records > 0 {
        guard let ready = scaleTime(records, now: output.previousStart) else { return moved }
        kernels[index].busy.scaleWait += max(0, ready - start)
        start = max(start, ready)
      }
      // Go.
      if output.piece == 0, plan.usesArray { array.slices.pop() }
      if output.piece == 0 { output.previousStart = start }
      if isBlockStart {
        output.blockStart = start
        if !plan.usesArray, plan.readsInput { input.elementwiseReady.pop() }
      }
      let first = elements * output.piece / pieces
      let last = elements * (output.piece + 1) / pieces
      var cycles = max(1, ceilDivide((last - first) * plan.outputRate, 32))
      kernels[index].busy.output += cycles
      output.sliceLast = sliceLast
      let rows = plan.microblockRows(place)
      if output.piece == pieces - 1 {
        // The last row follows the last products, or inputs.
        cycles = max(cycles, sliceLast - start + cycles * pieces / rows)
      }
      output.time = start + cycles
      var runs = plan.outputRuns(place, depth: depth)
      if pieces > 1 {
        let total = runs.count
        runs.count = total * (output.piece + 1) / pieces - total * output.piece / pieces
      }
      output.piece += 1
      var endsBlock = false
      if output.piece == pieces {
        output.piece = 0
        output.slice += 1
        if output.slice == slices {
          output.slice = 0
          output.block += 1
          endsBlock = true
          if output.block == plan.blocks { kernels[index].emitted = output.time }
          if plan.usesArray {
            array.freed.push(output.time)
          } else if plan.readsInput {
            input.freed.push(output.time)
          }
          trace(.output, kernels[index].operation, output.blockStart, output.time)
        }
      }
      output.pieces.push(
        OutputState.Piece(
          kernel: index, start: start, cycles: cycles, runs: runs,
          rows: max(1, rows / pieces), endsBlock: endsBlock))
      moved = true
    }
    return moved
  }

  /// When the next `bytes` of scale records are there. A slice's records may be more than the buffer
  /// holds: what has come is taken, so that the rest can follow.
  private mutating func scaleTime(_ bytes: Int, now: Int) -> Int? {
    let take = min(bytes - output.records, scales.arrived.total - scales.used.total)
    if take > 0, let arrival = scales.arrived.time(of: scales.used.total + take) {
      output.recordTime = max(arrival, now)
      scales.used.add(take, at: output.recordTime)
      output.records += take
    }
    guard output.records == bytes else { return nil }
    output.records = 0
    return output.recordTime
  }

  mutating func writeRequest() -> Int? {
    while let piece = output.pieces.front {
      if writer.cursor == nil {
        writer.cursor = TransactionCursor([piece.runs])
        writer.count = max(
          1, piece.runs.count * ceilDivide(piece.runs.bytes, burstBytes(piece.runs.memory)))
        writer.written = 0
        writer.started = piece.start
      }
      guard let cursor = writer.cursor, cursor.isDone else {
        let row = writer.written * piece.rows / writer.count
        let time = piece.start + piece.cycles * (row + 1) / piece.rows
        return max(time, writer.lastRequest)
      }
      finishPiece(piece)
    }
    return nil
  }

  mutating func write(at time: Int) {
    guard let piece = output.pieces.front, var cursor = writer.cursor else { return }
    let next = cursor.next { burstBytes($0) }
    let grant = channels[next.memory].write(at: time, beats: beats(next.bytes, next.memory))
    cursor.advance(next.bytes)
    writer.cursor = cursor
    writer.written += 1
    writer.lastRequest = grant.accepted
    writer.latest = max(writer.latest, grant.done)
    kernels[piece.kernel].busy.outputBeats += beats(next.bytes, next.memory)
    kernels[piece.kernel].busy.bytes += next.bytes
    if cursor.isDone { finishPiece(piece) }
  }

  private mutating func finishPiece(_ piece: OutputState.Piece) {
    output.pieces.pop()
    output.left.push(max(writer.lastRequest, piece.start + piece.cycles))
    writer.cursor = nil
    if piece.endsBlock {
      kernels[piece.kernel].finishBlock(at: max(writer.latest, piece.start + piece.cycles))
      trace(.write, kernels[piece.kernel].operation, writer.started, writer.latest)
    }
  }
}
