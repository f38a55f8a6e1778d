/// The DMA: transfers one after the other, each burst written when it was read.
struct TransferState {
  struct Item {
    var bytes: Int
    var source: Int
    /// `nil` for the NPU's internal memory.
    var destination: Int?
    var issued: Int
    var operation: Int
  }

  var queue = Queue<Item>()
  var issued = 0
  var ends = KeptQueue()
  var lastEnd = 0
  /// Reading.
  var reading = 0
  var readBytes = 0
  var lastRead = 0
  /// Bursts that were read: bytes and when.
  var bursts = Queue<(bytes: Int, time: Int, item: Int, isLast: Bool)>()
  /// When bytes left the buffer, for the window of the read stream.
  var drained = Curve()
  var readTotal = 0
  var latest = 0
  var busy = 0
  var spans: [(start: Int, end: Int, bytes: Int, bound: Int)] = []
  var start = -1
}

/// Ends by number, all of them kept.
struct KeptQueue {
  private var times: [Int] = []
  var end: Int { times.count }
  subscript(number: Int) -> Int? { times.indices.contains(number) ? times[number] : nil }
  mutating func push(_ time: Int) { times.append(time) }
}

extension JobSimulation {
  mutating func transferReadRequest() -> Int? {
    guard let item = transfers.queue[transfers.reading] else { return nil }
    let bytes = min(burstBytes(item.source), item.bytes - transfers.readBytes)
    let excess = transfers.readTotal + bytes - micro.readBuffer(.transfer)
    guard let room = excess > 0 ? transfers.drained.time(of: excess) : 0 else { return nil }
    return max(item.issued + micro.kernelStart, transfers.lastRead, room)
  }

  mutating func readTransfer(at time: Int) {
    guard let item = transfers.queue[transfers.reading] else { return }
    let bytes = min(burstBytes(item.source), item.bytes - transfers.readBytes)
    let grant = channels[item.source].read(at: time, beats: beats(bytes, item.source))
    if transfers.start < 0 { transfers.start = time }
    transfers.lastRead = grant.accepted
    transfers.readTotal += bytes
    transfers.readBytes += bytes
    let isLast = transfers.readBytes >= item.bytes
    transfers.bursts.push((bytes, grant.done, transfers.reading, isLast))
    if isLast {
      transfers.reading += 1
      transfers.readBytes = 0
    }
  }

  mutating func transferWriteRequest() -> Int? { transfers.bursts.front?.time }

  mutating func writeTransfer(at time: Int) {
    guard let burst = transfers.bursts.front else { return }
    transfers.bursts.pop()
    guard let item = transfers.queue[burst.item] else { return }
    if let destination = item.destination {
      let grant = channels[destination].write(at: time, beats: beats(burst.bytes, destination))
      transfers.drained.add(burst.bytes, at: grant.accepted)
      transfers.latest = max(transfers.latest, grant.done)
    } else {
      // The internal memory takes what arrives, but after what is still being written elsewhere.
      transfers.drained.add(burst.bytes, at: time)
      transfers.latest = max(transfers.latest, time)
    }
    if burst.isLast {
      finishTransfer(item, at: transfers.latest)
      transfers.queue.drop(before: burst.item + 1)
    }
  }

  private mutating func finishTransfer(_ item: TransferState.Item, at time: Int) {
    transfers.ends.push(time)
    transfers.lastEnd = max(transfers.lastEnd, time)
    let start = min(max(transfers.start, 0), time)
    var rate = channels[item.source].timing.bytesPerCycle
    if let destination = item.destination {
      rate = min(rate, channels[destination].timing.bytesPerCycle)
    }
    let bytes = item.bytes * (item.destination == nil ? 1 : 2)
    let bound = Int((Double(item.bytes) / max(rate, 1e-6)).rounded(.up))
    transfers.spans.append((start, time, bytes, max(bound, 1)))
    counters.transferActive += time - start
    trace(.transfer, item.operation, start, time)
    transfers.start = -1
  }
}
