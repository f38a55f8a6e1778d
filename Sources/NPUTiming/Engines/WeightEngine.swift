/// Fetches weight streams ahead of the decoder.
struct WeightState {
  var kernel = 0
  var block = 0
  var offset = 0
  var requested = 0
  var lastRequest = 0
  var arrived = Curve()
  /// Encoded bytes the decoder has taken.
  var used = Curve()
}

extension JobSimulation {
  /// Moves to the next block with weights; `false` if there is none yet.
  private mutating func prepareWeights() -> Bool {
    while weights.kernel < kernels.count {
      let plan = kernels[weights.kernel].plan
      if plan.kernel.weightBytes == 0 || weights.block >= plan.blocks {
        weights.kernel += 1
        weights.block = 0
        weights.offset = 0
        continue
      }
      if weights.offset >= plan.weightBytes(plan.block(weights.block)) {
        weights.block += 1
        weights.offset = 0
        continue
      }
      return true
    }
    return false
  }

  private mutating func weightBurst() -> (memory: Int, bytes: Int) {
    let plan = kernels[weights.kernel].plan
    let memory = plan.weightMemory
    let left = plan.weightBytes(plan.block(weights.block)) - weights.offset
    return (memory, min(burstBytes(memory), left))
  }

  mutating func weightRequest() -> Int? {
    guard prepareWeights() else { return nil }
    let isFast = kernels[weights.kernel].plan.kernel.isFastFormat
    let stream: ReadStream = isFast ? .fastWeights : .weights
    let excess = weights.requested + weightBurst().bytes - micro.readBuffer(stream)
    var time = max(kernels[weights.kernel].issued + micro.kernelStart, weights.lastRequest)
    if excess > 0 {
      guard let room = weights.used.time(of: excess) else { return nil }
      time = max(time, room)
    }
    return time
  }

  mutating func readWeights(at time: Int) {
    let (memory, bytes) = weightBurst()
    let grant = channels[memory].read(at: time, beats: beats(bytes, memory))
    weights.lastRequest = grant.accepted
    weights.requested += bytes
    weights.offset += bytes
    weights.arrived.add(bytes, at: grant.done)
    kernels[weights.kernel].busy.weightBeats += beats(bytes, memory)
    kernels[weights.kernel].busy.bytes += bytes
  }
}

/// Fetches scale records, as far ahead as their small read buffer allows.
struct ScaleState {
  var kernel = 0
  var block = 0
  var offset = 0
  var lastRequest = 0
  var requested = 0
  var arrived = Curve()
  /// Bytes the output unit has used.
  var used = Curve()
}

extension JobSimulation {
  private mutating func prepareScales() -> Bool {
    while scales.kernel < kernels.count {
      let plan = kernels[scales.kernel].plan
      if plan.kernel.scaleBytes == 0 || scales.block >= plan.blocks {
        scales.kernel += 1
        scales.block = 0
        scales.offset = 0
        continue
      }
      if scales.offset >= plan.scaleBytes(plan.block(scales.block)) {
        scales.block += 1
        scales.offset = 0
        continue
      }
      return true
    }
    return false
  }

  private mutating func scaleBurst() -> (memory: Int, bytes: Int) {
    let plan = kernels[scales.kernel].plan
    let left = plan.scaleBytes(plan.block(scales.block)) - scales.offset
    // The read buffer of the scale stream may hold less than a burst.
    let limit = min(burstBytes(plan.scaleMemory), micro.readBuffer(.scales) / 4)
    return (plan.scaleMemory, min(limit, left))
  }

  mutating func scaleRequest() -> Int? {
    guard prepareScales() else { return nil }
    var time = max(kernels[scales.kernel].issued + micro.kernelStart, scales.lastRequest)
    let excess = scales.requested + scaleBurst().bytes - micro.readBuffer(.scales)
    if excess > 0 {
      guard let room = scales.used.time(of: excess) else { return nil }
      time = max(time, room)
    }
    return time
  }

  mutating func readScales(at time: Int) {
    let (memory, bytes) = scaleBurst()
    let grant = channels[memory].read(at: time, beats: beats(bytes, memory))
    scales.lastRequest = grant.accepted
    scales.requested += bytes
    scales.offset += bytes
    scales.arrived.add(bytes, at: grant.done)
    kernels[scales.kernel].busy.scaleBeats += beats(bytes, memory)
    kernels[scales.kernel].busy.bytes += bytes
  }
}
