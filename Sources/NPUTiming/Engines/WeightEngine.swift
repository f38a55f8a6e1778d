/// Fetches a stream of kernels ahead of the unit that uses it: encoded weights for the decoder, scale
/// records for the output unit.
struct StreamFetch {
  var kernel = 0
  var block = 0
  var offset = 0
  var requested = 0
  var lastRequest = 0
  var arrived = Curve()
  /// Bytes that were used.
  var used = Curve()

  /// Moves to the next block of which something is left; `false` if there is none yet.
  ///
  /// - Parameter bytes: what a kernel reads in all, and for one block.
  fileprivate mutating func prepare(
    _ kernels: [JobSimulation.KernelState],
    _ bytes: (all: (KernelPlan) -> Int, block: (KernelPlan, KernelPlan.Block) -> Int)
  ) -> Bool {
    while kernel < kernels.count {
      let plan = kernels[kernel].plan
      if bytes.all(plan) == 0 || block >= plan.blocks {
        kernel += 1
        block = 0
        offset = 0
        continue
      }
      if offset >= bytes.block(plan, plan.block(block)) {
        block += 1
        offset = 0
        continue
      }
      return true
    }
    return false
  }

  /// When `bytes` more may be asked for: not before `earliest`, and when the read buffer has room.
  fileprivate mutating func request(_ bytes: Int, earliest: Int, buffer: Int) -> Int? {
    let time = max(earliest, lastRequest)
    let excess = requested + bytes - buffer
    guard excess > 0 else { return time }
    return used.time(of: excess).map { max(time, $0) }
  }

  /// Notes a burst that memory took.
  fileprivate mutating func note(_ bytes: Int, accepted: Int, done: Int) {
    lastRequest = accepted
    requested += bytes
    offset += bytes
    arrived.add(bytes, at: done)
  }
}

extension JobSimulation {
  private mutating func weightBurst() -> (memory: Int, bytes: Int) {
    let plan = kernels[weights.kernel].plan
    let memory = plan.weightMemory
    let left = plan.weightBytes(plan.block(weights.block)) - weights.offset
    return (memory, min(burstBytes(memory), left))
  }

  mutating func weightRequest() -> Int? {
    guard weights.prepare(kernels, ({ $0.kernel.weightBytes }, { $0.weightBytes($1) })) else {
      return nil
    }
    let isFast = kernels[weights.kernel].plan.kernel.isFastFormat
    return weights.request(
      weightBurst().bytes, earliest: kernels[weights.kernel].issued + micro.kernelStart,
      buffer: micro.readBuffer(isFast ? .fastWeights : .weights))
  }

  mutating func readWeights(at time: Int) {
    let (memory, bytes) = weightBurst()
    let grant = channels[memory].read(at: time, beats: beats(bytes, memory))
    weights.note(bytes, accepted: grant.accepted, done: grant.done)
    kernels[weights.kernel].busy.weightBeats += beats(bytes, memory)
    kernels[weights.kernel].busy.bytes += bytes
  }

  private mutating func scaleBurst() -> (memory: Int, bytes: Int) {
    let plan = kernels[scales.kernel].plan
    let left = plan.scaleBytes(plan.block(scales.block)) - scales.offset
    // The read buffer of the scale stream may hold less than a burst.
    let limit = min(burstBytes(plan.scaleMemory), micro.readBuffer(.scales) / 4)
    return (plan.scaleMemory, min(limit, left))
  }

  mutating func scaleRequest() -> Int? {
    guard scales.prepare(kernels, ({ $0.kernel.scaleBytes }, { $0.scaleBytes($1) })) else {
      return nil
    }
    return scales.request(
      scaleBurst().bytes, earliest: kernels[scales.kernel].issued + micro.kernelStart,
      buffer: micro.readBuffer(.scales))
  }

  mutating func readScales(at time: Int) {
    let (memory, bytes) = scaleBurst()
    let grant = channels[memory].read(at: time, beats: beats(bytes, memory))
    scales.note(bytes, accepted: grant.accepted, done: grant.done)
    kernels[scales.kernel].busy.scaleBeats += beats(bytes, memory)
    kernels[scales.kernel].busy.bytes += bytes
  }
}
