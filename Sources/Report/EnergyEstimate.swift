import NPUTiming

/// Energy of a run from costs of events.
public struct EnergyEstimate: Sendable, Hashable, Encodable {
  /// Joules of one event each: of a target's file, which says where they come from.
  public struct Costs: Sendable, Hashable {
    /// One 8-bit multiply-accumulate.
    public var mac: Double
    /// One cycle with the NPU on, whatever it does.
    public var cycle: Double
    /// One byte to or from each memory, by its name; memories that are not listed cost `otherByte`.
    public var bytes: [String: Double]
    public var otherByte: Double

    /// Costs.
    public init(mac: Double, cycle: Double, bytes: [String: Double], otherByte: Double = 0) {
      self.mac = mac
      self.cycle = cycle
      self.bytes = bytes
      self.otherByte = otherByte
    }
  }

  /// Joules of the MAC array's products.
  public let mac: Double
  /// Joules of the bytes of each memory, by its name.
  public let memories: [String: Double]
  /// Joules of clocks and leakage.
  public let idle: Double

  /// Joules altogether.
  public var total: Double { mac + idle + memories.values.sorted().reduce(0, +) }

  /// The energy of jobs.
  public init(_ jobs: [JobTiming], costs: Costs) {
    var macs = 0
    var cycles = 0
    var memories: [String: Double] = [:]
    for job in jobs {
      cycles += job.total
      macs += job.operations.reduce(0) { $0 + $1.macs }
      for memory in job.memories where memory.bytes > 0 {
        memories[memory.name, default: 0] +=
          Double(memory.bytes) * (costs.bytes[memory.name] ?? costs.otherByte)
      }
    }
    mac = Double(macs) * costs.mac
    self.memories = memories
    idle = Double(cycles) * costs.cycle
  }
}
