import EthosUISA
import TargetModel

/// What one decode step costs the NPU, before it is simulated.
struct DecodeEstimate {
  /// Every encoded byte read once at its memory's bandwidth.
  let bound: Int
  /// The bound plus what double buffering cannot hide: the first slice's way in and the last slice's
  /// computation, per layer.
  let cycles: Int

  /// The estimate for layers whose weights live in one memory.
  init(
    layers: [PackedLinear], weights: Target.Memory?, target: Target, accelerator: Accelerator
  ) {
    guard let weights else {
      bound = 0
      cycles = 0
      return
    }
    let perCycle = weights.readBandwidth.bytesPerCycle(at: target.npu.clock)
    var bytes = 0
    var exposed = 0
    for layer in layers {
      bytes += layer.slices.reduce(0) { $0 + $1.bytes }
      if let last = layer.slices.last {
        exposed += last.channels * layer.inputs / max(accelerator.macs / 32, 1)
      }
      exposed += layer.slices.count * weights.readLatency.count
    }
    bound = Int((Double(bytes) / perCycle).rounded(.up))
    cycles = bound + exposed
  }
}
