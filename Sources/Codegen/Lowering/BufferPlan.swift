import GraphIR
import Tiling

/// Where a function's values and kernels' scratch lie in the arena.
struct BufferPlan {
  /// The byte offset of each value that has a buffer.
  private(set) var offsets: [ValueID: Int] = [:]
  /// The byte offset of an operation's scratch, by its place in the order, where it needs one.
  private(set) var scratch: [Int: Int] = [:]
  /// The arena's size.
  private(set) var bytes = 0
  /// The largest sum of live buffers: no arena can be smaller.
  private(set) var lowerBound = 0

  /// Plans the arena of `function`, its operations run in `order`. `scratchBytes` says how much scratch
  /// an operation needs while it runs.
  init(function: Function, order: [Int], scratchBytes: (Operation) -> Int) {
    var lastUse: [ValueID: Int] = [:]
    for (time, index) in order.enumerated() {
      for case .value(let id) in function.operations[index].operands { lastUse[id] = time }
    }
    // The results stay until the caller has read them.
    for id in function.results { lastUse[id] = order.count }

    var bufferOf: [ValueID: Int] = [:]
    var buffers: [(bytes: Int, first: Int, last: Int)] = []
    var scratchBuffer: [Int: Int] = [:]
    for (time, index) in order.enumerated() {
      let operation = function.operations[index]
      for result in operation.results {
        let bytes = function[result].type.byteCount
        let last = max(lastUse[result] ?? time, time)
        if operation.code.mayRunInPlace,
          let donor = operation.operands.lazy.compactMap({ operand -> Int? in
            guard case .value(let id) = operand, lastUse[id] == time,
              function[id].type.byteCount == bytes
            else { return nil }
            return bufferOf[id]
          }).first
        {
          bufferOf[result] = donor
          buffers[donor].last = max(buffers[donor].last, last)
        } else {
          bufferOf[result] = buffers.count
          buffers.append((bytes, time, last))
        }
      }
      let need = scratchBytes(operation)
      if need > 0 {
        scratchBuffer[time] = buffers.count
        buffers.append((need, time, time))
      }
    }
    let plan = ArenaAllocator.plan(
      buffers.enumerated().map {
        BufferRequest(id: $0, bytes: $1.bytes, first: $1.first, last: $1.last)
      })
    for (value, buffer) in bufferOf { offsets[value] = plan.offsets[buffer] }
    for (time, buffer) in scratchBuffer { scratch[time] = plan.offsets[buffer] }
    bytes = plan.bytes
    lowerBound = plan.lowerBound
  }
}

extension OpCode {
  /// Whether the result may take the place of an operand of the same size.
  fileprivate var mayRunInPlace: Bool {
    switch self {
    case .rope, .lut, .mul, .add: true
    case .embedding, .rmsNorm, .layerNorm, .linear, .kvWrite, .attention, .silu, .gelu, .reshape,
      .transpose, .expand, .slice, .concat, .matmul, .scale, .negate,
      .softmax, .causalMask, .positionRows, .cacheWrite, .cacheRead:
      false
    }
  }
}
