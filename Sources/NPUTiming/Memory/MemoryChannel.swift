/// A memory at work: accepts transactions in the order of their requests and says when they end.
///
/// Reads and writes have data channels of their own (AXI); the pulse and the beat limit count both.
struct MemoryChannel {
  /// When a transaction was taken and when its last data or response came.
  struct Grant {
    var accepted: Int
    var done: Int
  }

  /// One direction.
  private struct Direction {
    /// Ends of the last transactions, as many as may be outstanding.
    var ends: [Int]
    var next = 0
    /// 1/256 cycles at which each port's data channel is free.
    var free: [Int]
    /// The next address can be taken then, in ports-th parts of a cycle: one a cycle on each port.
    var address = 0
    var transactions = 0
    var beats = 0
    /// Cycles transactions waited to be taken.
    var waited = 0

    init(limit: Int, ports: Int) {
      ends = Array(repeating: 0, count: max(limit, 0))
      free = Array(repeating: 0, count: max(ports, 1))
    }

    /// The first cycle from `time` on with a slot.
    func earliest(_ time: Int) -> Int {
      let time = max(time, ceilDivide(address, free.count))
      return ends.isEmpty ? time : max(time, ends[next])
    }

    /// Books the data channel of the port that is free first; the cycle of the last beat.
    mutating func transfer(requested: Int, accepted: Int, from: Int, beats: Int, interval: Int)
      -> Int
    {
      var port = 0
      for index in free.indices.dropFirst() where free[index] < free[port] { port = index }
      let end = max(from << 8, free[port]) + beats * interval
      free[port] = end
      address = max(address, accepted * free.count) + 1
      transactions += 1
      self.beats += beats
      waited += accepted - requested
      return (end + 255) >> 8
    }

    mutating func hold(until end: Int) {
      guard !ends.isEmpty else { return }
      ends[next] = end
      next += 1
      if next == ends.count { next = 0 }
    }
  }

  /// The pulse that lets addresses pass and counts beats.
  private struct Gate {
    let timing: MemoryTiming
    let period: Int
    let isOpen: Bool
    var window = -1
    var beats = 0

    init(_ timing: MemoryTiming) {
      self.timing = timing
      period = max(timing.pulseOn + timing.pulseOff, 1)
      isOpen = timing.pulseOff <= 0 && timing.beatsPerPulse <= 0
    }

    /// The first cycle from `time` on at which an address of that many beats passes.
    mutating func pass(_ time: Int, _ count: Int) -> Int {
      if isOpen { return time }
      var shifted = time + timing.pulsePhase
      while true {
        let index = shifted / period
        if shifted - index * period >= timing.pulseOn {
          shifted = (index + 1) * period
          continue
        }
        if index > window {
          window = index
          beats = 0
        }
        // Whole transactions count, so a period may give up to a burst more than the limit.
        if index == window {
          if timing.beatsPerPulse > 0, beats >= timing.beatsPerPulse {
            shifted = (index + 1) * period
            continue
          }
          beats += count
        }
        return shifted - timing.pulsePhase
      }
    }
  }

  let timing: MemoryTiming
  private let turnaround: Int
  private var reads: Direction
  private var writes: Direction
  private var gate: Gate
  /// Beats by ``bucketCycles`` of the job, if the trace is recorded.
  private(set) var readUse: [Int]?
  private(set) var writeUse: [Int]?

  /// Cycles of one entry of the use over time.
  static let bucketCycles = 256

  init(_ timing: MemoryTiming, turnaround: Int, recordsUse: Bool = false) {
    if recordsUse {
      readUse = []
      writeUse = []
    }
    self.timing = timing
    self.turnaround = turnaround
    reads = Direction(limit: timing.maximumReads, ports: timing.ports)
    writes = Direction(limit: timing.maximumWrites, ports: timing.ports)
    gate = Gate(timing)
  }

  /// Read and written beats and transactions so far, and cycles transactions waited.
  var readBeats: Int { reads.beats }
  var writeBeats: Int { writes.beats }
  var readTransactions: Int { reads.transactions }
  var writeTransactions: Int { writes.transactions }
  var readWait: Int { reads.waited }
  var writeWait: Int { writes.waited }

  /// A read of `beats` beats requested at `time`.
  mutating func read(at time: Int, beats: Int) -> Grant {
    let accepted = gate.pass(reads.earliest(time), beats)
    let end = reads.transfer(
      requested: time, accepted: accepted, from: accepted + timing.readLatency, beats: beats,
      interval: timing.beatInterval)
    reads.hold(until: end + turnaround)
    if readUse != nil { Self.note(&readUse, beats, at: end) }
    return Grant(accepted: accepted, done: end + turnaround)
  }

  /// A write of `beats` beats requested at `time`.
  mutating func write(at time: Int, beats: Int) -> Grant {
    let accepted = gate.pass(writes.earliest(time), beats)
    let end =
      writes.transfer(
        requested: time, accepted: accepted, from: accepted, beats: beats,
        interval: timing.writeInterval) + timing.writeLatency
    writes.hold(until: end + turnaround)
    if writeUse != nil { Self.note(&writeUse, beats, at: end - timing.writeLatency) }
    return Grant(accepted: accepted, done: end + turnaround)
  }

  private static func note(_ use: inout [Int]?, _ beats: Int, at time: Int) {
    let bucket = max(time, 0) / bucketCycles
    guard let count = use?.count, bucket < 1 << 22 else { return }
    if bucket >= count { use?.append(contentsOf: repeatElement(0, count: bucket + 1 - count)) }
    use?[bucket] += beats
  }
}
