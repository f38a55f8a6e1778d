import NPUTiming

/// Energy of a run from costs of events.
public struct EnergyEstimate: Sendable, Hashable, Encodable {
  /// Joules of one event each.
  public struct Costs: Sendable, Hashable {
    /// One 8-bit multiply-accumulate.
    public var mac: Double
    /// One byte over a port to working memory, and to flash or external memory.
    public var sramByte: Double
    public var externalByte: Double
    /// One cycle with the NPU on, whatever it does.
    public var cycle: Double

    /// Assumed costs, of the order that is published for 22 to 28 nm: a multiply-accumulate of 8 bits
    /// 0.3 pJ with its share of the datapath, a byte of on-chip SRAM 1.25 pJ (Horowitz, ISSCC 2014, scaled
    /// from 45 nm), a byte of embedded MRAM or external flash 40 pJ, 5 pJ a cycle for clocks and leakage.
    /// No figure of an Ethos-U is public; use the estimate to compare, not as a promise.
    public static let assumed = Costs(
      mac: 0.3e-12, sramByte: 1.25e-12, externalByte: 40e-12, cycle: 5e-12)
  }

  /// Joules by cause.
  public let mac: Double
  public let sram: Double
  public let external: Double
  public let idle: Double

  /// Joules altogether.
  public var total: Double { mac + sram + external + idle }

  /// The energy of jobs; `isExternal` tells of a memory's name whether it is off the NPU's SRAM.
  public init(_ jobs: [JobTiming], costs: Costs = .assumed, isExternal: (String) -> Bool) {
    var macs = 0
    var near = 0
    var far = 0
    var cycles = 0
    for job in jobs {
      cycles += job.total
      macs += job.operations.reduce(0) { $0 + $1.macs }
      for memory in job.memories {
        let bytes = (memory.readBeats + memory.writeBeats) * memory.beatBytes
        if isExternal(memory.name) { far += bytes } else { near += bytes }
      }
    }
    mac = Double(macs) * costs.mac
    sram = Double(near) * costs.sramByte
    external = Double(far) * costs.externalByte
    idle = Double(cycles) * costs.cycle
  }
}
