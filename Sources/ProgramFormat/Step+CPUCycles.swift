/// What CPU kernels cost on a Cortex-M55.
public enum CPUCost {
  /// Cycles of one call of a kernel, whatever its size: step decoding and set-up.
  static let callCycles = 60

  /// Cycles of a step when `position` tokens are already in the KV cache.
  ///
  /// Instructions counted under QEMU at -O2 with Helium (`Tests/Firmware/run_qemu.sh`, table in
  /// `Docs/DeviceRuntime.md`), times 1.2 cycles an instruction for scalar kernels and 1.5 for attention's
  /// vector loops: an assumption until measured on silicon, without cache misses.
  public static func cycles(of step: Step, position: Int) -> Int {
    func scalar(_ instructions: Int, _ indices: Int...) -> Int {
      let elements = indices.reduce(1.0) { $0 * Double(step.parameters[$1]) }
      return Int(min(elements * Double(instructions) * 1.2, 1e15))
    }
    let work: Int
    switch step.kernel {
    case .npuJob: return 0
    case .embedding: work = scalar(10, 0, 1)
    case .attention:
      // A head: 151 + 4.76 head_dim for each position.
      let rows = Double(step.parameters[0])
      let heads = Double(step.parameters[1])
      let headDim = Double(step.parameters[3])
      let positions = Double(position) + (rows + 1) / 2
      let head = positions * (151 + 4.76 * headDim)
      work = Int(min(rows * heads * head * 1.5, 1e15))
    }
    return callCycles + work
  }
}
