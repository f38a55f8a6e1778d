import GraphIR
import Support
import TensorCore

/// How the values that a `kv_write` stores are rounded: what the cache makes of each channel.
struct CacheRounding {
  /// The operation that makes the values.
  let producer: Int
  /// The name of the `kv_write`.
  let source: String
  /// Which of the caches it is.
  let stage: RoundingStage
  /// By channel, the cache's step and the constant taken off before.
  let steps: [Float]
  let offsets: [Float]
  /// The most steps it can hold.
  let mostSteps: Float

  /// The roundings of all caches of a function.
  static func all(
    in study: QuantizationStudy, _ function: Function
  ) throws(DiagnosticError) -> [CacheRounding] {
    var producers: [ValueID: Int] = [:]
    for (index, operation) in function.operations.enumerated() {
      for id in operation.results { producers[id] = index }
    }
    var keys = Set<StateID>()
    for operation in function.operations where operation.code == .attention {
      if operation.operands.count > 2, case .state(let id) = operation.operands[2] {
        keys.insert(id)
      }
    }
    var result: [CacheRounding] = []
    for operation in function.operations where operation.code == .kvWrite {
      guard operation.operands.count >= 5, case .value(let x) = operation.operands[0],
        case .state(let state) = operation.operands[2],
        case .constant(let offset) = operation.operands[3], let producer = producers[x],
        let scale = function[x].type.quant?.scales.first,
        let heads = study.integer[state].type.quant?.scales
      else {
        throw DiagnosticError(
          "quantize.operation", "kv_write is not in its integer form",
          at: SourceLocation(element: operation.provenance.source))
      }
      let count = function[x].type.shape.dimensions.last ?? 0
      let headDim = max(count / max(heads.count, 1), 1)
      guard let offsets = study.integer[offset].data?.integers(Int16.self, count: count),
        heads.count * headDim == count
      else {
        throw DiagnosticError(
          "quantize.operation", "kv_write's offsets are unreadable",
          at: SourceLocation(element: operation.provenance.source))
      }
      result.append(
        CacheRounding(
          producer: producer, source: operation.provenance.source,
          stage: keys.contains(state) ? .keys : .values,
          steps: (0..<count).map { heads[$0 / headDim] },
          offsets: QuantizationStudy.paired(
            offsets.map { Float($0) * scale }, headDim: study.turnedHead(producer, in: function)),
          mostSteps: Float(study.integer[state].type.element.symmetricLimit ?? 127)))
    }
    return result
  }

  /// The largest magnitude that can be held.
  var limit: Float {
    zip(steps, offsets).map { mostSteps * $0 + abs($1) }.max() ?? 0
  }

  /// The value of a channel after it has been in the cache, and whether it was clipped. The offset is
  /// put back: attention ignores it in keys, and other caches have none.
  @inline(__always)
  func rounded(_ value: Float, channel: Int) -> (value: Float, isClipped: Bool) {
    let steps = (value - offsets[channel]) / self.steps[channel]
    let limited = min(max((steps + 0.5).rounded(.down), -mostSteps), mostSteps)
    return (limited * self.steps[channel] + offsets[channel], abs(steps) > mostSteps + 0.5)
  }
}

/// How a value is rounded to its type.
struct ValueRounding {
  /// The step.
  let scale: Float
  /// The largest number of steps.
  let limit: Float

  /// The rounding of a value of the integer graph; nil for 32-bit values, whose steps are finer than a
  /// float's, and for values without a scale.
  init?(_ type: TensorType) {
    guard let scale = type.quant?.scales.first else { return nil }
    switch type.element {
    case .int8: limit = 127
    case .int16: limit = 32767
    default: return nil
    }
    self.scale = scale
  }

  /// The value on its grid: half a step rounds up, as on the NPU.
  @inline(__always)
  func rounded(_ value: Float) -> Float {
    min(max((value / scale + 0.5).rounded(.down), -limit - 1), limit) * scale
  }

  /// Whether the value is beyond the type's range.
  @inline(__always)
  func clips(_ value: Float) -> Bool { abs(value) > (limit + 0.5) * scale }
}
