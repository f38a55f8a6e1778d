/// A buffer that needs memory from its first to its last step.
public struct BufferRequest: Hashable, Sendable {
  /// The caller's name for it.
  public let id: Int
  /// Its size in bytes.
  public let bytes: Int
  /// The first step that writes it.
  public let first: Int
  /// The last step that reads it.
  public let last: Int

  /// A buffer alive in steps `first ... last`.
  public init(id: Int, bytes: Int, first: Int, last: Int) {
    self.id = id
    self.bytes = bytes
    self.first = first
    self.last = last
  }
}

/// Where each buffer lies.
public struct ArenaPlan: Sendable, Equatable {
  /// The byte offset of each buffer, by its ID.
  public var offsets: [Int: Int]
  /// The arena's size.
  public var bytes: Int
  /// The largest sum of sizes alive at one step: no arena can be smaller.
  public var lowerBound: Int
}

/// Places buffers with overlapping lives at disjoint addresses in one arena.
///
/// Largest first, each at the lowest offset that is free for its whole life: simple, and within a few
/// per cent of the live-range bound on the graphs we compile.
public enum ArenaAllocator {
  /// Plans an arena. All offsets are multiples of `alignment`.
  public static func plan(_ requests: [BufferRequest], alignment: Int = 16) -> ArenaPlan {
    func padded(_ bytes: Int) -> Int { (bytes + alignment - 1) / alignment * alignment }
    var placed: [(request: BufferRequest, offset: Int, end: Int)] = []
    var offsets: [Int: Int] = [:]
    var size = 0
    let order = requests.sorted {
      ($1.bytes, $0.first, $0.id) < ($0.bytes, $1.first, $1.id)
    }
    for request in order {
      let need = padded(request.bytes)
      var offset = 0
      for other in placed
      where other.request.first <= request.last && request.first <= other.request.last {
        if offset + need <= other.offset { break }
        offset = max(offset, other.end)
      }
      offsets[request.id] = offset
      size = max(size, offset + need)
      let entry = (request, offset, offset + need)
      let at = placed.firstIndex { $0.offset > offset } ?? placed.count
      placed.insert(entry, at: at)
    }
    var bound = 0
    for step in Set(requests.map(\.first)) {
      let alive = requests.filter { $0.first <= step && step <= $0.last }
      bound = max(bound, alive.reduce(0) { $0 + padded($1.bytes) })
    }
    return ArenaPlan(offsets: offsets, bytes: size, lowerBound: bound)
  }
}
