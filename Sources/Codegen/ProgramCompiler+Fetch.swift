import EthosUISA
import GraphIR
import NPUTiming
import ProgramFormat
import Support
import TargetModel

/// Where weights live and how they come to their convolutions.
extension ProgramCompiler {
  /// How a program's weights are fetched.
  struct Fetch {
    /// Where regions will lie, about.
    let memories: MemorySystem?
    /// Raw weights of a slice to aim at.
    let sliceBytes: Int
    /// Nil when weights are read in place.
    var staging: WeightStaging?
    /// Bytes of weights to keep in faster memories than that of the others.
    var rooms = Rooms()
  }

  /// What of the weights lives in faster memories than the others.
  struct Rooms {
    /// Bytes, by region.
    var bytes: [Region: Int] = [:]
    /// Whether the state leaves its memory to weights.
    var keepsStateApart = false
  }

  /// Bytes of params to reckon with before they are known.
  private static let usualParams = 32 << 10

  /// Fewer bytes are not worth a region of their own.
  private static let leastRoom = 64 << 10

  /// Whether all weights have room in fast memory, where convolutions can read them without a copy. By
  /// their raw size, because their encoding depends on the answer.
  func weightsFitOnChip(_ graph: Graph, arena: Int, state: Int) -> Bool {
    let sizes: [Region: Int] = [.arena: arena, .state: state, .weights: Self.weightBytes(graph)]
    return plan(sizes)?.memories[.weights]?.kind.isOnChipRAM == true
  }

  /// Bytes to reckon with for all weights before they are encoded.
  private static func weightBytes(_ graph: Graph) -> Int {
    let raw = graph.constants.reduce(0) { $0 + $1.type.byteCount }
    return raw + raw / 8
  }

  /// How the weights will be fetched.
  ///
  /// Slices that two streams share begin with a wait for a far memory, and while attention runs the
  /// DMA fills no more than its buffers: they are large. Not too large either, because a table waits
  /// for the transfers before its own.
  func fetch(_ candidate: Candidate, _ graph: Graph) -> Fetch {
    func memories(staging: Int) -> MemorySystem? {
      let sizes: [Region: Int] = [
        .arena: candidate.arena + staging, .state: candidate.state.bytes,
        .weights: Self.weightBytes(graph), .params: Self.usualParams,
      ]
      return self.memories(sizes)
    }
    if candidate.isInPlace {
      return Fetch(memories: memories(staging: 0), sliceBytes: Int.max, staging: nil)
    }
    let bytes = options.sliceBytes
    let system = memories(staging: 4 * bytes)
    let staging = WeightStaging(
      rates: system.flatMap { rates(of: .weights, in: $0) }, accelerator: accelerator)
    if staging.isShared {
      for factor in [4, 2] {
        if let larger = memories(staging: staging.buffers * factor * bytes * 5 / 4) {
          return Fetch(memories: larger, sliceBytes: factor * bytes, staging: staging)
        }
      }
    }
    return Fetch(memories: system, sliceBytes: bytes, staging: staging)
  }

  /// The memories that regions of about these sizes will lie in. Where they do not fit, which the plan
  /// of the finished program says, nil.
  private func memories(_ sizes: [Region: Int]) -> MemorySystem? {
    plan(sizes).map {
      MemorySystem($0.entries, accelerator: accelerator)
    }
  }

  /// How fast the NPU reads a region.
  private func rates(of region: Region, in system: MemorySystem) -> StreamRates? {
    let index = system.memory(ofRegion: region.rawValue)
    guard system.memories.indices.contains(index) else { return nil }
    return StreamRates(system.memories[index], accelerator: accelerator)
  }

  /// Chooses what of the weights lives in faster memories than the others.
  func rooms(_ candidates: [Candidate], _ graph: Graph, _ fetch: Fetch) -> Rooms {
    var rooms = Rooms()
    guard let staging = fetch.staging else { return rooms }
    let linear = linearConstants(candidates[0])
    let constants = graph.constants.indices.reduce(0) { sum, index in
      let id = ConstantID(index)
      return linear.contains(id) ? sum : sum + (graph[id].type.byteCount + 15) / 16 * 16
    }
    var sizes: [Region: Int] = [
      // Encoded slices are at most a quarter larger than raw ones, but for a row's scale records.
      .arena: (candidates.map(\.arena).max() ?? 0) + 16
        + staging.buffers * (fetch.sliceBytes * 5 / 4 + 4096),
      .state: candidates.map(\.state.bytes).max() ?? 0,
      .params: constants + 2 * Self.usualParams,
    ]
    let beside = residentRoom(beside: sizes)
    let apart = residentRoom(beside: sizes, keepsStateApart: true)
    let resident = max(beside, apart)
    rooms.keepsStateApart = apart > beside
    rooms.bytes[.params] = resident
    sizes[.params, default: 0] += resident
    let fetched = linear.reduce(0) { $0 + graph[$1].type.byteCount } - resident
    rooms.bytes[.near] = nearRoom(
      beside: sizes, weights: Self.weightBytes(graph) - resident, fetched: fetched,
      keepsStateApart: rooms.keepsStateApart)
    return rooms
  }

  /// The constants of linear layers and embedding tables.
  private func linearConstants(_ candidate: Candidate) -> Set<ConstantID> {
    Set(
      candidate.scheduled.flatMap { entry in
        entry.function.operations.compactMap { operation -> ConstantID? in
          guard operation.code == .linear || operation.code == .embedding,
            operation.operands.count > 1, case .constant(let id) = operation.operands[1]
          else { return nil }
          return id
        }
      })
  }

  /// Bytes of weights to keep in fast memory: what the params' memory has left beside everything else.
  private func residentRoom(beside sizes: [Region: Int], keepsStateApart: Bool = false) -> Int {
    // A target that lists no such memory for weights wants none there.
    guard options.residentBytes != 0,
      target.candidates(for: .weights).contains(where: \.kind.isOnChipRAM),
      let plan = plan(sizes, keepsStateApart: keepsStateApart),
      let memory = plan.memories[.params], memory.kind.isOnChipRAM
    else { return 0 }
    let free = plan.free(in: memory)
    let room = options.residentBytes.map { min($0, free) } ?? free - memory.size.count / 8
    let isPlaced = isPlaced(
      .params, in: memory, with: room, beside: sizes, keepsStateApart: keepsStateApart)
    return isPlaced ? room : 0
  }

  /// Bytes of weights to keep in a memory that is nearer than that of the others, such as MRAM beside flash: no
  /// more than are read while the others are, unless those would not fit.
  ///
  /// - Parameters:
  ///   - weights: bytes of all that is to be placed.
  ///   - fetched: bytes of what is read for every token.
  private func nearRoom(
    beside sizes: [Region: Int], weights: Int, fetched: Int, keepsStateApart: Bool
  ) -> Int {
    let candidates = target.candidates(for: .weights)
    guard options.nearBytes != 0, let plan = plan(sizes, keepsStateApart: keepsStateApart),
      let far = candidates.first(where: { plan.free(in: $0) >= weights }) ?? candidates.last
    else { return 0 }
    var sizes = sizes
    sizes[.weights] = min(weights, plan.free(in: far) / 16 * 16)
    sizes[.near] = Self.leastRoom
    let nearer = candidates.prefix { $0.name != far.name }.map(\.name)
    guard let outline = self.plan(sizes, keepsStateApart: keepsStateApart),
      let memory = outline.memories[.near], nearer.contains(memory.name)
    else { return 0 }
    let free = plan.free(in: memory)
    var room = min(options.nearBytes ?? free - memory.size.count / 8, free)
    if options.nearBytes == nil, plan.free(in: far) >= weights {
      room = min(room, balanced(fetched, outline))
    }
    sizes[.near] = 0
    let isPlaced = isPlaced(
      .near, in: memory, with: room, beside: sizes, keepsStateApart: keepsStateApart)
    return room >= Self.leastRoom && isPlaced ? room : 0
  }

  /// Where regions of these sizes would lie; nil where they do not fit, which the plan of the finished program
  /// says.
  private func plan(_ sizes: [Region: Int], keepsStateApart: Bool = false) -> MemoryPlan? {
    try? MemoryPlan(sizes: sizes, target: target, keepsStateApart: keepsStateApart)
  }

  /// Whether a region that takes so many bytes more lies in a memory.
  private func isPlaced(
    _ region: Region, in memory: Target.Memory, with room: Int, beside sizes: [Region: Int],
    keepsStateApart: Bool
  ) -> Bool {
    var sizes = sizes
    sizes[region, default: 0] += room
    let plan = plan(sizes, keepsStateApart: keepsStateApart)
    return room > 0 && plan?.memories[region]?.name == memory.name
  }

  /// The part of `bytes` for which the near memory takes as long as the far one takes for the rest.
  private func balanced(_ bytes: Int, _ plan: MemoryPlan) -> Int {
    let system = MemorySystem(plan.entries, accelerator: accelerator)
    guard bytes > 0, let near = rates(of: .near, in: system),
      let far = rates(of: .weights, in: system), near.weights > 0
    else { return 0 }
    return Int(Double(bytes) * near.weights / (near.weights + far.together))
  }
}
