import ProgramFormat
import Support
import TargetModel

/// Which memory of the target each region lives in, and at what address.
struct MemoryPlan {
  /// The manifest's rows, in region order.
  let entries: [Manifest.RegionEntry]
  /// The memory of each region.
  let memories: [Region: Target.Memory]
  /// Bytes used in each memory, by name.
  let used: [String: Int]

  /// Places regions of the given sizes into the target's memories, each whole into the first of its
  /// candidates that has room.
  ///
  /// - Parameters:
  ///   - keepsStateApart: whether the state leaves its first memory to others, where another is as fast.
  ///   - advice: knows what would make a region fit into so many bytes.
  ///
  /// Throws `DiagnosticError` for each region that fits nowhere, saying by how many bytes.
  init(
    sizes: [Region: Int], target: Target, keepsStateApart: Bool = false,
    advice: (Region, Int) -> String? = { _, _ in nil }
  ) throws(DiagnosticError) {
    let placement = Placement(sizes, target, keepsStateApart: keepsStateApart)
    let used = placement.used
    let problems = placement.unplaced.map { region, used in
      let candidates = Self.candidates(for: region, of: target)
      let room = candidates.map { $0.size.count - Self.aligned(used[$0.name] ?? 0) }.max() ?? 0
      return Self.doesNotFit(
        region, bytes: sizes[region] ?? 0, candidates: candidates, used: used, target: target,
        advice: advice(region, room))
    }
    if !problems.isEmpty { throw DiagnosticError(problems) }
    self.used = used
    memories = placement.memories
    entries = placement.memories.sorted { $0.key.rawValue < $1.key.rawValue }.map { region, place in
      Manifest.RegionEntry(
        name: region.name, index: region.rawValue, bytes: sizes[region] ?? 0, memory: place.name,
        address: place.base + UInt64(placement.offsets[region] ?? 0),
        speed: Manifest.MemorySpeed(
          read: place.readBandwidth.bytesPerCycle(at: target.npu.clock),
          write: place.writeBandwidth.bytesPerCycle(at: target.npu.clock),
          readLatency: place.readLatency.count, writeLatency: place.writeLatency.count,
          maximumReads: place.maximumReads, maximumWrites: place.maximumWrites))
    }
  }

  /// Where regions go, one after the other.
  private struct Placement {
    var memories: [Region: Target.Memory] = [:]
    var offsets: [Region: Int] = [:]
    var used: [String: Int] = [:]
    /// The regions that fit nowhere, each with what was used when it came: those after it make room for it.
    var unplaced: [(region: Region, used: [String: Int])] = []

    init(_ sizes: [Region: Int], _ target: Target, keepsStateApart: Bool) {
      // What has to be fast comes first, so that a large cache cannot push the arena out.
      for region in [Region.arena, .state, .params, .near, .weights] {
        let bytes = sizes[region] ?? 0
        var candidates = MemoryPlan.candidates(for: region, of: target)
        if region == .state, keepsStateApart, let first = candidates.first {
          let others = candidates.dropFirst().filter { $0.isAsFast(as: first) }
          candidates = others.isEmpty ? candidates : others
        }
        let place = candidates.first { memory in
          MemoryPlan.aligned(used[memory.name] ?? 0) + bytes <= memory.size.count
        }
        guard let place else {
          unplaced.append((region, used))
          continue
        }
        let offset = MemoryPlan.aligned(used[place.name] ?? 0)
        used[place.name] = offset + bytes
        memories[region] = place
        offsets[region] = offset
      }
    }
  }

  /// Bytes that are left in a memory.
  func free(in memory: Target.Memory) -> Int { memory.size.count - (used[memory.name] ?? 0) }

  /// The memories a region may live in, best first. Of near weights, what may live in on-chip RAM is resident
  /// there, among the params.
  private static func candidates(for region: Region, of target: Target) -> [Target.Memory] {
    let all = target.candidates(for: region.kind)
    guard region == .near else { return all }
    let others = all.filter { !$0.kind.isOnChipRAM }
    return others.isEmpty ? all : others
  }

  private static func aligned(_ offset: Int) -> Int { (offset + 15) / 16 * 16 }

  private static func doesNotFit(
    _ region: Region, bytes: Int, candidates: [Target.Memory], used: [String: Int],
    target: Target, advice: String?
  ) -> Diagnostic {
    let notes = candidates.map { memory in
      let free = max(memory.size.count - (used[memory.name] ?? 0), 0)
      return
        "\(memory.name): \(free) of \(memory.size.count) bytes free, \(bytes - free) too few"
    }
    let wayOut =
      switch region {
      case .state: "a target with more RAM: the KV cache grows with --context"
      case .arena: "a smaller --prefill batch"
      case .weights, .near, .params: "a target with more flash, or a smaller model"
      }
    return Diagnostic(
      "target.too-small",
      "\(target.name) cannot hold the \(region.name): \(bytes) bytes fit none of "
        + (candidates.map(\.name).joined(separator: ", ")),
      notes: notes, wayOut: advice.map { "\($0), or \(wayOut)" } ?? wayOut)
  }
}

extension Target.Memory {
  /// Whether everything takes the same time here as there.
  fileprivate func isAsFast(as other: Target.Memory) -> Bool {
    readBandwidth == other.readBandwidth && writeBandwidth == other.writeBandwidth
      && readLatency == other.readLatency && writeLatency == other.writeLatency
      && maximumReads == other.maximumReads && maximumWrites == other.maximumWrites
  }
}

extension Region {
  /// The kind of data a target places by.
  var kind: Target.DataKind {
    switch self {
    case .weights, .near: .weights
    case .arena: .arena
    case .state: .state
    case .params: .params
    }
  }
}
