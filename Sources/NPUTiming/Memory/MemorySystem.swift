/// The memories of a system and what lies in them.
public struct MemorySystem: Sendable, Hashable {
  /// The memories; index 0 exists always.
  public var memories: [MemoryTiming]
  /// For each region, the index of its memory.
  public var regions: [Int]
  /// The memory of the command stream.
  public var streamMemory: Int

  /// A system.
  public init(memories: [MemoryTiming], regions: [Int], streamMemory: Int) {
    self.memories = memories
    self.regions = regions
    self.streamMemory = streamMemory
  }

  /// The memory of a region; regions nobody mentioned are in the first.
  public func memory(ofRegion region: Int) -> Int {
    guard regions.indices.contains(region), memories.indices.contains(regions[region]) else {
      return 0
    }
    return regions[region]
  }
}
