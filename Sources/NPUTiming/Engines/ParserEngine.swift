/// The command front end: fetches the stream, queues kernels and transfers, waits where it says so.
struct ParserState {
  var event = 0
  /// The parser is free from this cycle on.
  var time = 0
  var streamBytes = 0
  var requested = 0
  var parsed = 0
  /// Words of the current event already parsed.
  var partial = 0
  var arrived = Curve()
  var lastRequest = 0
  var operations = 0
  /// A kernel whose output goes to the next one through the chaining buffer.
  var chain: KernelPlan?
  /// Kernels of each operation, for reports: operation → kernel.
  var kernelOfOperation: [Int] = []
}

extension JobSimulation {
  /// Bytes of the command stream fetched ahead: two bursts, as for any streamed input (assumption).
  private var commandBuffer: Int {
    mutating get { 2 * burstBytes(min(memories.streamMemory, channels.count - 1)) }
  }

  /// Cycles the parser spends on words: one for two words, about one for a command (assumption; the
  /// queue of two kernels hides it).
  private mutating func parseCycles(_ words: Int) -> Int { ceilDivide(words, 2) }

  mutating func commandRequest() -> Int? {
    guard parser.requested < parser.streamBytes,
      parser.requested < parser.parsed + commandBuffer
    else { return nil }
    return max(parser.lastRequest, parser.requested < commandBuffer ? 0 : parser.time)
  }

  mutating func readCommands(at time: Int) {
    let memory = min(memories.streamMemory, channels.count - 1)
    let bytes = min(burstBytes(memory), parser.streamBytes - parser.requested)
    let grant = channels[memory].read(at: time, beats: beats(bytes, memory))
    parser.requested += bytes
    parser.lastRequest = grant.accepted
    parser.arrived.add(bytes, at: grant.done)
  }

  /// Goes through events until one must wait for something not known yet.
  mutating func parse() -> Bool {
    var moved = false
    while parser.event < events.count {
      switch events[parser.event] {
      case .commands(let words):
        // Take what has come; more is fetched when there is room again.
        let take = min(words - parser.partial, (parser.arrived.total - parser.parsed) / 4)
        guard take > 0 || parser.partial == words else { return moved }
        if take > 0, let arrival = parser.arrived.time(of: parser.parsed + 4 * take) {
          parser.time = max(parser.time + parseCycles(take), arrival)
          parser.parsed += 4 * take
          parser.partial += take
          moved = true
        }
        guard parser.partial == words else { return moved }
        parser.partial = 0
      case .kernel(let kernel):
        guard let free = queueTime() else { return moved }
        parser.time = max(parser.time, free)
        issue(kernel)
      case .transfer(let bytes, let source, let destination):
        guard let free = transferQueueTime() else { return moved }
        parser.time = max(parser.time, free)
        issueTransfer(bytes: bytes, source: source, destination: destination)
      case .transferWait(let count):
        let needed = transfers.issued - count
        if needed > 0 {
          guard let end = transfers.ends[needed - 1] else { return moved }
          counters.transferWait += max(end - parser.time, 0)
          parser.time = max(parser.time, end)
        }
      case .kernelWait(let count):
        let needed = kernels.count - count
        if needed > 0 {
          let end = kernels[needed - 1].ended
          guard end >= 0 else { return moved }
          counters.kernelWait += max(end - parser.time, 0)
          parser.time = max(parser.time, end)
        }
      }
      parser.event += 1
      moved = true
    }
    return moved
  }

  /// When the queue has room for another kernel.
  private mutating func queueTime() -> Int? {
    let needed = kernels.count - micro.kernelQueue + 1
    guard needed > 0 else { return 0 }
    let end = kernels[needed - 1].ended
    return end >= 0 ? end : nil
  }

  /// When the queue has room for another transfer.
  private mutating func transferQueueTime() -> Int? {
    let needed = transfers.issued - micro.transferQueue + 1
    guard needed > 0 else { return 0 }
    return transfers.ends[needed - 1]
  }

  private mutating func issue(_ kernel: KernelDescription) {
    let operation = parser.operations
    parser.operations += 1
    var plan = KernelPlan(kernel, micro, memories)
    if let head = parser.chain {
      // A chain runs as one operation: each member adds its time in the output unit, only operands
      // from memory are read, and only the last output is written.
      head.outputRate += plan.outputRate
      for operand in [kernel.ifm, kernel.ifm2].compactMap({ $0 }) where operand.region != nil {
        head.chainedInputs.append(operand)
      }
      head.chainedOutput = kernel.ofm
      plan = head
    }
    if kernel.ofm.isChained {
      parser.chain = plan
      parser.kernelOfOperation.append(kernels.count)
      return
    }
    parser.chain = nil
    parser.kernelOfOperation.append(kernels.count)
    kernels.append(KernelState(plan: plan, issued: parser.time, operation: operation))
  }

  private mutating func issueTransfer(bytes: Int, source: Int, destination: Int?) {
    let from = memories.memory(ofRegion: source)
    transfers.queue.push(
      TransferState.Item(
        bytes: bytes, source: min(from, channels.count - 1),
        destination: destination.map { min(memories.memory(ofRegion: $0), channels.count - 1) },
        issued: parser.time, operation: parser.operations))
    transfers.issued += 1
    parser.operations += 1
    parser.kernelOfOperation.append(-1)
  }
}
