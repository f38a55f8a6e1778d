/// A memory as the NPU's ports see it, in cycles of the NPU's clock.
///
/// The parameters are those of the timing adapter that Arm's FVP and FPGA images put before each port
/// (Arm ML Evaluation Kit, `timing_adapter`), because both the published measurements and real
/// memories can be described by them.
public struct MemoryTiming: Sendable, Hashable {
  /// The name in reports.
  public var name: String
  /// Bytes of a data beat: the width of the port (U55 8, U65 and U85 16).
  public var beatBytes: Int
  /// Ports side by side.
  public var ports: Int
  /// 1/256 cycles between beats of a port: 256 for a memory as fast as the port.
  public var beatInterval: Int
  /// The same for writes.
  public var writeInterval: Int
  /// Cycles from an accepted address to its first data.
  public var readLatency: Int
  /// Cycles from the last data of a write to its response.
  public var writeLatency: Int
  /// Transactions that may be unanswered; 0 for no limit.
  public var maximumReads: Int
  public var maximumWrites: Int
  /// Largest transaction, in beats.
  public var burstBeats: Int
  /// Cycles in which addresses pass, and in which they are held back, in turn. 0 off never holds.
  public var pulseOn: Int
  public var pulseOff: Int
  /// Cycles of a pulse period already over when the job starts.
  public var pulsePhase: Int
  /// Beats, read and written together, after which addresses wait for the next period; 0 for no limit.
  public var beatsPerPulse: Int

  /// A memory without limits but its port's width.
  public init(
    name: String, beatBytes: Int, ports: Int = 1, beatInterval: Int = 256, readLatency: Int = 0,
    writeLatency: Int = 0, maximumReads: Int = 0, maximumWrites: Int = 0, burstBeats: Int = 8,
    pulseOn: Int = 1, pulseOff: Int = 0, pulsePhase: Int = 0, beatsPerPulse: Int = 0
  ) {
    self.name = name
    self.beatBytes = beatBytes
    self.ports = ports
    self.beatInterval = beatInterval
    writeInterval = beatInterval
    self.readLatency = readLatency
    self.writeLatency = writeLatency
    self.maximumReads = maximumReads
    self.maximumWrites = maximumWrites
    self.burstBeats = burstBeats
    self.pulseOn = pulseOn
    self.pulseOff = pulseOff
    self.pulsePhase = pulsePhase
    self.beatsPerPulse = beatsPerPulse
  }

  /// Sustained bytes a cycle in one direction, latency and outstanding limits aside.
  public var bytesPerCycle: Double {
    var rate = Double(beatBytes * ports) * 256 / Double(max(beatInterval, 1))
    let period = Double(max(pulseOn + pulseOff, 1))
    rate *= Double(pulseOn) / period
    if beatsPerPulse > 0 { rate = min(rate, Double(beatsPerPulse * beatBytes) / period) }
    return rate
  }
}
