/// Where the decoder or the MAC array is: kernel, block, pass, column, part of a column.
///
/// Both walk the same list: a column's weights are cut into sets of about a burst, the decoder makes sets,
/// the array uses them.
struct ArrayCursor {
  var kernel = 0
  var block = 0
  var step = 0
  var column = 0
  var part = 0
  /// Of the current block.
  var work: ArrayWork?
  var place: KernelPlan.Block?
  var parts = 1
  var weightBytes = 0
  var partIndex = 0

  /// Sets of the whole block.
  var partsOfBlock: Int { (work?.steps ?? 0) * (work?.columns ?? 0) * parts }

  /// Encoded bytes of the current set.
  var bytes: Int {
    let all = max(partsOfBlock, 1)
    return weightBytes * (partIndex + 1) / all - weightBytes * partIndex / all
  }

  /// Cycles of the current set in the array.
  var cycles: Int {
    guard let work else { return 0 }
    let column = step == work.steps - 1 ? work.lastColumnCycles : work.columnCycles
    var cycles = column * (part + 1) / parts - column * part / parts
    if part == parts - 1, self.column == work.columns - 1 { cycles += work.bubble }
    return cycles
  }

  /// Moves to the next set; `true` at the end of a block.
  mutating func next() -> Bool {
    guard let work else { return true }
    partIndex += 1
    part += 1
    if part < parts { return false }
    part = 0
    column += 1
    if column < work.columns { return false }
    column = 0
    step += 1
    if step < work.steps { return false }
    step = 0
    partIndex = 0
    block += 1
    self.work = nil
    return true
  }
}

struct DecoderState {
  var cursor = ArrayCursor()
  var time = 0
  /// When each set was decoded, by running number; sets of kernels without weights are not counted.
  var ready = Queue<Int>()
  var number = 0
}

struct ArrayState {
  var cursor = ArrayCursor()
  var time = 0
  /// When each set of weights was used up, by running number.
  var used = Queue<Int>()
  var number = 0
  /// Blocks that entered the array; accumulators are freed by the output unit.
  var blocks = 0
  var freed = Queue<Int>()
  /// Slices of accumulators that are complete.
  var slices = Queue<Slice>()
  /// When all input of the current pass is there.
  var inputLast = 0

  /// When the first row of microblocks of a slice was done, and when all were.
  struct Slice {
    var first: Int
    var last: Int
  }
  var stepStart = 0
  var blockStart = 0
}

extension JobSimulation {
  /// Loads the cursor's block; `false` if no kernel with array work is left.
  private static func load(_ cursor: inout ArrayCursor, _ kernels: [KernelState]) -> Bool {
    while cursor.work == nil {
      guard cursor.kernel < kernels.count else { return false }
      let plan = kernels[cursor.kernel].plan
      guard plan.usesArray, cursor.block < plan.blocks else {
        cursor.kernel += 1
        cursor.block = 0
        continue
      }
      let place = plan.block(cursor.block)
      let work = plan.work(place)
      cursor.place = place
      cursor.work = work
      cursor.weightBytes = plan.kernel.weightBytes > 0 ? plan.weightBytes(place) : 0
      let columns = max(work.steps * work.columns, 1)
      cursor.parts = max(1, ceilDivide(cursor.weightBytes, columns * Microarchitecture.weightSet))
    }
    return true
  }

  /// Decodes weight sets as far as bytes have come and the array leaves room.
  mutating func decode() -> Bool {
    var moved = false
    while Self.load(&decoder.cursor, kernels) {
      let index = decoder.cursor.kernel
      guard kernels[index].plan.kernel.weightBytes > 0 else {
        decoder.cursor.kernel += 1
        decoder.cursor.block = 0
        decoder.cursor.work = nil
        continue
      }
      let bytes = decoder.cursor.bytes
      guard let arrival = weights.arrived.time(of: weights.used.total + bytes) else { return moved }
      var start = max(decoder.time, arrival)
      let sets = micro.weightSets(kernels[index].plan.kernel.microblock)
      if decoder.number >= sets {
        guard let room = array.used[decoder.number - sets] else { return moved }
        array.used.drop(before: decoder.number - 64)
        kernels[index].busy.decoderWait += max(0, room - start)
        start = max(start, room)
      }
      kernels[index].busy.fetchWait += max(0, arrival - max(decoder.time, kernels[index].issued))
      let cycles = decoderCycles(bytes, isFast: kernels[index].plan.kernel.isFastFormat)
      kernels[index].busy.decoder += cycles
      decoder.time = start + cycles
      weights.used.add(bytes, at: start)
      decoder.ready.push(decoder.time)
      decoder.number += 1
      trace(.decoder, kernels[index].operation, start, decoder.time)
      _ = decoder.cursor.next()
      moved = true
    }
    return moved
  }

  private mutating func decoderCycles(_ bytes: Int, isFast: Bool) -> Int {
    if isFast { return ceilDivide(bytes, Microarchitecture.decoderWeights) }
    return ceilDivide(bytes, Microarchitecture.decoderBytes * micro.decoders)
  }

  /// Runs the MAC array as far as inputs, weights and accumulators are known.
  mutating func multiply() -> Bool {
    var moved = false
    while Self.load(&array.cursor, kernels), let work = array.cursor.work,
      let place = array.cursor.place
    {
      let index = array.cursor.kernel
      let plan = kernels[index].plan
      let cursor = array.cursor
      var start = array.time
      let isStepStart = cursor.column == 0 && cursor.part == 0
      let units = plan.inputUnits(place, work)
      let takesUnit = isStepStart && cursor.step >= units.kept && cursor.step < units.total
      if isStepStart {
        start = max(start, kernels[index].issued + micro.kernelStart)
        if takesUnit {
          guard let ready = input.ready.front else { return moved }
          let fill = cursor.block == 0 ? micro.arrayFill : micro.handOver
          kernels[index].busy.inputWait += max(0, ready.first + fill - start)
          start = max(start, ready.first + fill)
          array.inputLast = ready.last + fill
        }
        if cursor.step == 0 {
          // Accumulators are double-buffered.
          if array.blocks >= 2 {
            guard let free = array.freed[array.blocks - 2] else { return moved }
            array.freed.drop(before: array.blocks - 2)
            kernels[index].busy.accumulatorWait += max(0, free - start)
            start = max(start, free)
          }
        }
      }
      let hasWeights = plan.kernel.weightBytes > 0
      if hasWeights {
        guard let ready = decoder.ready.front else { return moved }
        kernels[index].busy.weightWait += max(0, ready - start)
        start = max(start, ready)
      }
      // Everything is known: go.
      if takesUnit { input.ready.pop() }
      if isStepStart {
        array.stepStart = start
        if cursor.step == 0 {
          array.blockStart = start
          array.blocks += 1
        }
      }
      let cycles = cursor.cycles
      kernels[index].busy.array += cycles
      array.time = start + cycles
      if cursor.column == 0, cursor.part == cursor.parts - 1 {
        // The last row of microblocks starts when all of the input is there.
        let last = array.inputLast + work.columnCycles / plan.microblockRows(place)
        kernels[index].busy.inputWait += max(0, last - array.time)
        array.time = max(array.time, last)
      }
      if hasWeights {
        decoder.ready.pop()
        array.used.push(array.time)
        array.number += 1
      }
      // The end of a pass frees the input; the last pass completes slices column by column.
      if cursor.part == cursor.parts - 1 {
        if cursor.column == work.columns - 1, cursor.step >= units.kept, cursor.step < units.total {
          input.freed.push(array.time)
        }
        if cursor.step == work.steps - 1 {
          let depth = plan.kernel.microblock.depth * micro.accelerator.cores
          let done = (cursor.column + 1) * depth
          if done % plan.sliceDepth == 0 || cursor.column == work.columns - 1 {
            let rows = plan.microblockRows(place)
            array.slices.push(
              ArrayState.Slice(
                first: micro.isU85
                  ? array.time - work.lastColumnCycles * (rows - 1) / rows : array.time,
                last: array.time))
          }
        }
      }
      if array.cursor.next() {
        trace(.array, kernels[index].operation, array.blockStart, array.time)
      }
      moved = true
    }
    return moved
  }
}
