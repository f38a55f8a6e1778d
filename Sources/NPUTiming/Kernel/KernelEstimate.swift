import EthosUISA

/// Cycles of one kernel without playing it: the fast path for searches that compare many candidates.
///
/// Units and memories run side by side, so the slowest decides; before it lies the way of the first
/// block's input, behind it the last block's output. Overlap with other kernels and the phase of a
/// memory's pulse are not seen.
public struct KernelEstimate: Sendable, Hashable {
  /// Cycles of the MAC array, the output unit, the weight decoders and the slowest memory.
  public let array: Int
  public let output: Int
  public let decoder: Int
  public let memory: Int
  /// Cycles until the first block's input is there, once memory answers.
  public let first: Int
  /// Cycles the output unit needs after the last products.
  public let drain: Int
  /// Latencies before and behind.
  public let latency: Int

  /// Cycles of the kernel alone.
  public var total: Int {
    latency + max(first + max(array, decoder) + drain, first + output, memory + drain, 1)
  }

  /// The unit that decides.
  public var limiter: Limiter {
    let units: [(Int, Limiter)] = [
      (array, .mac), (memory, .weights), (decoder, .decoder), (output, .output),
    ]
    return units.reduce(units[0]) { $1.0 > $0.0 ? $1 : $0 }.1
  }

  /// The estimate for a kernel on a configuration with its memories.
  public init(
    _ kernel: KernelDescription, accelerator: Accelerator, memories system: MemorySystem
  ) {
    let micro = Microarchitecture(accelerator)
    let plan = KernelPlan(kernel, micro, system)
    var rates = Self.rates(system, micro)
    if rates.isEmpty {
      rates = [Rates(timing: MemoryTiming(name: "", beatBytes: 8), turnaround: 0)]
    }
    var sums = Sums(memories: rates.count)
    for row in Self.classes(plan.rows) {
      for column in Self.classes(plan.columns) {
        for slab in Self.classes(plan.slabs) {
          let index = (row.index * plan.columns + column.index) * plan.slabs + slab.index
          let count = row.count * column.count * slab.count
          sums.add(plan.block(index), times: count, isFirst: index == 0, plan, micro, rates)
        }
      }
    }
    array = sums.array
    output = max(sums.output, Int(sums.writes))
    decoder = sums.decoder
    memory = Int(max(sums.input, sums.weights, sums.scales, sums.data(rates)).rounded(.up))
    first = Int(sums.first)
    func timing(_ region: Int?) -> MemoryTiming? {
      region.map { rates[min(system.memory(ofRegion: $0), rates.count - 1)].timing }
    }
    latency =
      micro.kernelStart + (plan.usesArray ? micro.arrayFill : micro.handOver)
      + (timing(kernel.ifm.region)?.readLatency ?? 0)
      + (timing(kernel.ofm.region)?.writeLatency ?? 0)
    // A U85 hands blocks over row by row, the others as a whole.
    let last = plan.block(plan.blocks - 1)
    let rows = micro.isU85 ? plan.microblockRows(last) : 1
    drain = plan.usesArray ? ceilDivide(last.elements * plan.outputRate, 32) / max(rows, 1) : 0
  }

  /// Work of all blocks.
  private struct Sums {
    var array = 0
    var output = 0
    var decoder = 0
    /// Time of each stream of reads alone, and of the writes alone.
    var input = 0.0
    var weights = 0.0
    var scales = 0.0
    var writes = 0.0
    /// Beats of each memory's two directions.
    var reads: [Double]
    var writesOf: [Double]
    /// Time of the first block's first input.
    var first = 0.0

    init(memories: Int) {
      reads = Array(repeating: 0, count: memories)
      writesOf = reads
    }

    /// Time of the busiest data channel; a limit of beats a period counts both directions.
    func data(_ rates: [Rates]) -> Double {
      var time = 0.0
      for (index, rate) in rates.enumerated() {
        time = max(time, rate.channel(reads[index]), rate.channel(writesOf[index]))
        time = max(time, rate.limited(reads[index] + writesOf[index]))
      }
      return time
    }

    /// Adds `times` blocks of one shape.
    mutating func add(
      _ block: KernelPlan.Block, times: Int, isFirst: Bool, _ plan: KernelPlan,
      _ micro: Microarchitecture, _ rates: [Rates]
    ) {
      let many = Double(times)
      let work = plan.work(block)
      array += work.cycles * times
      output += max(1, ceilDivide(block.elements * plan.outputRate, 32)) * times
      func index(_ memory: Int) -> Int { min(memory, rates.count - 1) }
      let units = plan.inputUnits(block, work)
      for step in units.kept..<max(units.total, units.kept) {
        for run in plan.inputRuns(block, step: step, steps: max(work.steps, 1)) {
          let rate = rates[index(run.memory)]
          let time = rate.read(
            count: run.count, bytes: run.bytes, window: micro.readBuffer(.ifm))
          input += time * many
          reads[index(run.memory)] += rate.beats(count: run.count, bytes: run.bytes) * many
          if isFirst, step == units.kept { first += time }
        }
      }
      let bytes = plan.weightBytes(block)
      if bytes > 0 {
        let isFast = plan.kernel.isFastFormat
        let rate = rates[index(plan.weightMemory)]
        weights +=
          rate.read(
            count: 1, bytes: bytes, window: micro.readBuffer(isFast ? .fastWeights : .weights))
          * many
        reads[index(plan.weightMemory)] += rate.beats(count: 1, bytes: bytes) * many
        decoder +=
          times
          * ceilDivide(
            bytes,
            isFast
              ? Microarchitecture.decoderWeights : Microarchitecture.decoderBytes * micro.decoders)
      }
      let records = plan.scaleBytes(block)
      if records > 0 {
        let rate = rates[index(plan.scaleMemory)]
        scales += rate.read(count: 1, bytes: records, window: micro.readBuffer(.scales)) * many
        reads[index(plan.scaleMemory)] += rate.beats(count: 1, bytes: records) * many
      }
      // Writes are handed over slice by slice.
      let runs = plan.outputRuns(block, depth: block.depth)
      if runs.count > 0 {
        let rate = rates[index(runs.memory)]
        writes += rate.write(count: runs.count, bytes: runs.bytes) * many
        writesOf[index(runs.memory)] += rate.beats(count: runs.count, bytes: runs.bytes) * many
      }
    }
  }

  /// The first, the inner (as many) and the last of a number of blocks.
  private static func classes(_ count: Int) -> [(index: Int, count: Int)] {
    switch count {
    case ...1: [(0, 1)]
    case 2: [(0, 1), (1, 1)]
    default: [(0, 1), (1, count - 2), (count - 1, 1)]
    }
  }

  private static func rates(_ system: MemorySystem, _ micro: Microarchitecture) -> [Rates] {
    system.memories.map { Rates(timing: $0, turnaround: micro.turnaround) }
  }

  /// Times of transactions against one memory.
  private struct Rates {
    let timing: MemoryTiming
    let turnaround: Int

    /// Share of cycles in which addresses pass.
    private var open: Double {
      Double(timing.pulseOn) / Double(max(timing.pulseOn + timing.pulseOff, 1))
    }

    func beats(count: Int, bytes: Int) -> Double {
      Double(ceilDivide(bytes, max(timing.beatBytes, 1)) * count)
    }

    /// Cycles of that many beats on one direction's channels.
    func channel(_ beats: Double) -> Double {
      beats * Double(timing.beatInterval) / 256 / Double(max(timing.ports, 1)) / open
    }

    /// Cycles until a limit of beats a period lets that many pass.
    func limited(_ beats: Double) -> Double {
      guard timing.beatsPerPulse > 0 else { return 0 }
      return beats * Double(timing.pulseOn + timing.pulseOff) / Double(timing.beatsPerPulse)
    }

    func read(count: Int, bytes: Int, window: Int) -> Double {
      let burst = min(bytes, timing.burstBeats * timing.beatBytes)
      let beats = Double(ceilDivide(burst, timing.beatBytes)) * Double(timing.beatInterval) / 256
      let held = Double(timing.readLatency + turnaround) + beats
      var parallel = max(Double(window / max(burst, 1)), 1)
      if timing.maximumReads > 0 { parallel = min(parallel, Double(timing.maximumReads)) }
      let transactions = Double(count * ceilDivide(bytes, max(burst, 1)))
      return max(
        transactions * held / parallel / open, channel(self.beats(count: count, bytes: bytes)))
    }

    func write(count: Int, bytes: Int) -> Double {
      let burst = min(bytes, timing.burstBeats * timing.beatBytes)
      let beats = Double(ceilDivide(burst, timing.beatBytes)) * Double(timing.writeInterval) / 256
      let transactions = Double(count * ceilDivide(bytes, max(burst, 1)))
      guard timing.maximumWrites > 0 else { return transactions * beats / open }
      let held = Double(timing.writeLatency) + beats
      return max(transactions * held / Double(timing.maximumWrites), transactions * beats) / open
    }
  }
}
