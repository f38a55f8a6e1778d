/// Reads input blocks into the input buffer.
struct InputState {
  var kernel = 0
  var block = 0
  var unit = -1
  var units = (total: 0, kept: 0)
  var cursor = TransactionCursor()
  var isActive = false
  /// The earliest request of the current unit.
  var earliest = 0
  var started = 0
  var latest = 0
  /// Bytes in flight: what was asked for and when it is there.
  var arrived = Curve()
  var requested = 0
  var lastRequest = 0
  /// When each unit was complete, and when its place was free again, by running number.
  var ready = Queue<Arrival>()
  /// The same for units the output unit uses directly.
  var elementwiseReady = Queue<Arrival>()
  var freed = Queue<Int>()
  var number = 0
  /// Bytes of the unit still to be asked for before the first row of microblocks has its input.
  var firstRows = 0
  var firstTime = 0

  /// When a unit's input for the first row of microblocks was there, and when all of it was.
  struct Arrival {
    var first: Int
    var last: Int
  }
}

extension JobSimulation {
  /// Finds the next unit to read; units without memory accesses are complete at once.
  private mutating func prepareInput() -> Bool {
    while !input.isActive {
      guard input.kernel < kernels.count else { return false }
      let plan = kernels[input.kernel].plan
      if input.block >= plan.blocks {
        input.kernel += 1
        input.block = 0
        input.unit = -1
        continue
      }
      let block = plan.block(input.block)
      let work = plan.work(block)
      if input.unit < 0 {
        input.units = plan.inputUnits(block, work)
        input.unit = input.units.kept
      }
      if input.unit >= input.units.total {
        input.block += 1
        input.unit = -1
        continue
      }
      guard let dependency = dependency(input.kernel, block: input.block) else { return false }
      var start = kernels[input.kernel].issued + micro.kernelStart
      if dependency > start {
        counters.dependencyStall += max(0, dependency - max(start, input.latest))
        start = dependency
      }
      // A place in the buffer.
      let slots = plan.inputBlocks
      if input.number >= slots {
        guard let free = input.freed[input.number - slots] else { return false }
        start = max(start, free)
        input.freed.drop(before: input.number - 4)
      }
      input.earliest = start
      input.started = start
      input.latest = start
      let runs = plan.inputRuns(block, step: input.unit, steps: max(work.steps, 1))
      input.firstRows = plan.firstRowBytes(block, runs)
      input.firstTime = start
      input.cursor = TransactionCursor(runs)
      if input.cursor.isDone {
        finishUnit()
      } else {
        input.isActive = true
      }
    }
    return true
  }

  private mutating func finishUnit() {
    let arrival = InputState.Arrival(
      first: micro.isU85 ? min(input.firstTime, input.latest) : input.latest, last: input.latest)
    if kernels[input.kernel].plan.usesArray {
      input.ready.push(arrival)
    } else {
      input.elementwiseReady.push(arrival)
    }
    input.number += 1
    input.unit += 1
    input.isActive = false
    if kernels[input.kernel].started < 0 { kernels[input.kernel].started = input.started }
    trace(.input, kernels[input.kernel].operation, input.started, input.latest)
  }

  mutating func inputRequest() -> Int? {
    guard prepareInput() else { return nil }
    let next = input.cursor.next { burstBytes($0) }
    var time = max(input.earliest, input.lastRequest)
    let excess = input.requested + next.bytes - micro.readBuffer(.ifm)
    if excess > 0, let room = input.arrived.time(of: excess) { time = max(time, room) }
    return time
  }

  mutating func readInput(at time: Int) {
    let next = input.cursor.next { burstBytes($0) }
    let grant = channels[next.memory].read(at: time, beats: beats(next.bytes, next.memory))
    input.lastRequest = grant.accepted
    input.latest = max(input.latest, grant.done)
    if input.firstRows > 0 {
      input.firstRows -= next.bytes
      input.firstTime = grant.done
    }
    input.requested += next.bytes
    input.arrived.add(next.bytes, at: grant.done)
    kernels[input.kernel].busy.inputBeats += beats(next.bytes, next.memory)
    kernels[input.kernel].busy.bytes += next.bytes
    input.cursor.advance(next.bytes)
    if input.cursor.isDone { finishUnit() }
  }
}
