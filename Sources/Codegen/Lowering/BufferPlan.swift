import GraphIR
import Tiling

/// Where a function's values and kernels' scratch lie in the arena.
struct BufferPlan {
  /// Where a value lies.
  struct Place: Equatable {
    /// The byte offset of the first row.
    var offset: Int
    /// Bytes between rows: more than one has where values lie side by side.
    let pitch: Int
  }

  /// The place of each value that has a buffer.
  private(set) var places: [ValueID: Place] = [:]
  /// The byte offset of a step's scratch, by its place in the schedule, where it needs one.
  private(set) var scratch: [Int: Int] = [:]
  /// The arena's size.
  private(set) var bytes = 0
  /// The largest sum of live buffers: no arena can be smaller.
  private(set) var lowerBound = 0

  /// Plans the arena of `function`, which runs the steps of a schedule. `scratchBytes` says how much scratch
  /// a step needs while it runs.
  init(function: Function, schedule: [FusedOperation], scratchBytes: (FusedOperation) -> Int) {
    var lastUse: [ValueID: Int] = [:]
    for (time, step) in schedule.enumerated() {
      for index in step.operations {
        for case .value(let id) in function.operations[index].operands { lastUse[id] = time }
      }
    }
    // The results stay until the caller has read them.
    for id in function.results { lastUse[id] = schedule.count }

    var buffers: [(bytes: Int, first: Int, last: Int)] = []
    var placeOf: [ValueID: (buffer: Int, place: Place)] = [:]
    var scratchBuffer: [Int: Int] = [:]
    /// The operand whose place a result may take.
    func donor(_ operation: Operation, at time: Int) -> (buffer: Int, place: Place)? {
      guard operation.code.mayRunInPlace, let result = operation.results.first else { return nil }
      return operation.operands.lazy.compactMap { operand in
        guard case .value(let id) = operand, lastUse[id] == time,
          function[id].type.byteCount == function[result].type.byteCount
        else { return nil }
        return placeOf[id]
      }.first
    }
    for (time, step) in schedule.enumerated() {
      let operations = step.operations.map { function.operations[$0] }
      let last = operations.flatMap(\.results).map { lastUse[$0] ?? time }.max() ?? time
      let donors = operations.compactMap { donor($0, at: time) }
      if !donors.isEmpty, donors.count == operations.count {
        // Operations that run as one read what lies side by side, and leave it so.
        for (operation, donor) in zip(operations, donors) {
          for result in operation.results { placeOf[result] = donor }
          buffers[donor.buffer].last = max(buffers[donor.buffer].last, time, last)
        }
      } else if let bytes = step.rowBytes {
        for part in step.parts {
          guard let index = part.operation else { continue }
          for result in function.operations[index].results {
            placeOf[result] = (buffers.count, Place(offset: part.firstByte, pitch: bytes))
          }
        }
        let rows = operations.flatMap(\.results).map { function[$0].type.rows }.max() ?? 0
        buffers.append((rows * bytes, time, max(time, last)))
      }
      let need = scratchBytes(step)
      if need > 0 {
        scratchBuffer[time] = buffers.count
        buffers.append((need, time, time))
      }
    }
    let plan = ArenaAllocator.plan(
      buffers.enumerated().map {
        BufferRequest(id: $0, bytes: $1.bytes, first: $1.first, last: $1.last)
      })
    for (value, (buffer, place)) in placeOf {
      places[value] = plan.offsets[buffer].map {
        Place(offset: $0 + place.offset, pitch: place.pitch)
      }
    }
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
