/// What CPU kernels cost on a Cortex-M55.
public enum CPUCost {
  /// Cycles of one call of a kernel, whatever its size: step decoding and set-up.
  static let callCycles = 60

  /// Cycles of a step when `position` tokens are already in the KV cache.
  ///
  /// Estimates: instructions per element counted in the C sources, one cycle each, without cache misses
  /// and without Helium. Good to a factor of two until measured on a part.
  public static func cycles(of step: Step, position: Int) -> Int {
    func count(_ indices: Int...) -> Int {
      indices.reduce(1) { $0.multipliedReportingOverflow(by: Int(step.parameters[$1])).partialValue }
    }
    let work: Int
    switch step.kernel {
    case .npuJob: return 0
    case .embedding: work = count(0, 1) &* 5
    // A squared sum in 64 bits, then two wide products an element.
    case .rmsNorm: work = count(0, 1) &* 24
    case .rope: work = count(0, 1, 2) &* 8
    case .kvWrite: work = count(0, 1, 2) &* 10
    case .attention:
      let positions = position &+ Int(step.parameters[0])
      // Two products an element of the head and position, one exponential a head and position.
      work = count(0, 1) &* positions &* (Int(step.parameters[3]) &* 4 &+ 30)
    case .lut: work = count(0) &* 9
    case .mul: work = count(0) &* 11
    case .add: work = count(0) &* 4
    }
    return callCycles &+ work
  }
}
