import EthosUISA
import NPUTiming

extension MemorySystem {
  /// The memories behind the base pointers of a program whose regions are placed as given.
  public init(_ regions: [Manifest.RegionEntry], accelerator: Accelerator?) {
    let traits = BasePointer.allCases.compactMap { pointer -> RegionTraits? in
      guard let entry = regions.first(where: { $0.index == pointer.region.rawValue }) else {
        return nil
      }
      return RegionTraits(
        region: pointer.rawValue, memory: entry.memory, readRate: entry.speed.read,
        writeRate: max(entry.speed.write, 1e-3), readLatency: entry.speed.readLatency,
        writeLatency: entry.speed.writeLatency, maximumReads: entry.speed.maximumReads,
        maximumWrites: entry.speed.maximumWrites)
    }
    self.init(
      traits, streamRegion: Region.weights.rawValue,
      beatBytes: accelerator.map { Microarchitecture($0).beatBytes } ?? 8)
  }
}
