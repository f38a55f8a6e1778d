/// The memory behind a region as target files describe it, in cycles of the NPU's clock.
public struct RegionTraits: Sendable, Hashable {
  /// The region's base-pointer index.
  public var region: Int
  /// The memory's name: regions in the same memory share its ports.
  public var memory: String
  /// Sustained bytes a cycle; a read-only memory's write rate is never used.
  public var readRate: Double
  public var writeRate: Double
  /// Cycles to the first data, and until a write is taken.
  public var readLatency: Int
  public var writeLatency: Int
  /// Transactions that may be unanswered at once; nil where the target does not say.
  public var maximumReads: Int?
  public var maximumWrites: Int?

  /// Traits.
  public init(
    region: Int, memory: String, readRate: Double, writeRate: Double, readLatency: Int,
    writeLatency: Int, maximumReads: Int? = nil, maximumWrites: Int? = nil
  ) {
    self.region = region
    self.memory = memory
    self.readRate = readRate
    self.writeRate = writeRate
    self.readLatency = readLatency
    self.writeLatency = writeLatency
    self.maximumReads = maximumReads
    self.maximumWrites = maximumWrites
  }
}

extension MemorySystem {
  /// Transactions a port of a memory answers at once where the target file does not say it: what Arm's
  /// kit lets through to SRAM (assumption). Slow memories are bound by their rate, not by this.
  private static let outstanding = 8

  /// The memories of a target. The command stream lies with the region `streamRegion`.
  public init(_ traits: [RegionTraits], streamRegion: Int, beatBytes: Int) {
    var names: [String] = []
    var memories: [MemoryTiming] = []
    var regions = [Int](repeating: 0, count: 8)
    for trait in traits {
      let index: Int
      if let known = names.firstIndex(of: trait.memory) {
        index = known
      } else {
        index = names.count
        names.append(trait.memory)
        memories.append(Self.memory(trait, beatBytes: beatBytes))
      }
      if regions.indices.contains(trait.region) { regions[trait.region] = index }
    }
    self.init(
      memories: memories, regions: regions,
      streamMemory: regions.indices.contains(streamRegion) ? regions[streamRegion] : 0)
  }

  /// A rate above the width of a port means several ports side by side.
  private static func memory(_ trait: RegionTraits, beatBytes: Int) -> MemoryTiming {
    let width = Double(beatBytes)
    let ports = max(1, Int((trait.readRate / width).rounded(.up)))
    func interval(_ rate: Double) -> Int {
      let share = max(rate / Double(ports), 1e-3)
      return max(256, Int((256 * width / share).rounded()))
    }
    var memory = MemoryTiming(
      name: trait.memory, beatBytes: beatBytes, ports: min(ports, 64),
      beatInterval: interval(trait.readRate), readLatency: trait.readLatency,
      writeLatency: trait.writeLatency, maximumReads: trait.maximumReads ?? outstanding * ports,
      maximumWrites: trait.maximumWrites ?? outstanding * ports)
    memory.writeInterval = interval(trait.writeRate)
    return memory
  }
}
