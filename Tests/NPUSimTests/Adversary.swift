@testable import NPUSim

/// Runs a stream as unkind hardware might: operations that may be unfinished are, for as long as waits and
/// full queues let them, and blocks of a kernel read what BLOCKDEP does not keep them from reading.
///
/// This states the rules of order a second time, by execution instead of by comparing address ranges.
struct Adversary {
  enum Event {
    case kernel(KernelOp)
    case transfer(Transfer)
    case kernelWait(Int)
    case transferWait(Int)
  }

  /// Which operations are slow.
  enum Schedule {
    case nothing
    case allTransfers
    case allKernels
    case event(Int)
  }

  let hardware: Hardware
  private(set) var events: [Event] = []
  /// Command index of each event.
  private(set) var commands: [Int] = []
  /// Stands in for the decoder when the constants of a stream are unknown: weights and scales are then
  /// made from the bytes where they should be.
  var inventsWeights = false

  init(stream: [UInt8], hardware: Hardware) throws {
    self.hardware = hardware
    let (events, commands) = try stream.withUnsafeBytes { bytes in
      try Self.parse(bytes, hardware)
    }
    self.events = events
    self.commands = commands
  }

  private static func parse(
    _ bytes: UnsafeRawBufferPointer, _ hardware: Hardware
  ) throws -> ([Event], [Int]) {
    var events: [Event] = []
    var commands: [Int] = []
    var scanner = CommandScanner(bytes)
    var registers = RegisterFile(addressBits: hardware.addressBits)
    var number = -1
    while let command = try scanner.next() {
      number += 1
      if let word = command.word {
        registers.setWide(opcode: command.opcode, parameter: command.parameter, word: word)
        continue
      }
      if command.opcode >= 256 {
        registers.set(opcode: command.opcode, parameter: command.parameter)
        continue
      }
      let resolver = KernelResolver(registers: registers, hardware: hardware)
      let parameter = command.parameter
      switch command.opcode {
      case 0: return (events, commands)
      case 2:
        events.append(.kernel(try resolver.convolution(depthwise: false, parameter: parameter)))
      case 3:
        events.append(.kernel(try resolver.convolution(depthwise: true, parameter: parameter)))
      case 5: events.append(.kernel(try resolver.pooling(parameter: parameter)))
      case 6: events.append(.kernel(try resolver.elementwise(parameter: parameter)))
      case 7: events.append(.kernel(try resolver.resize(parameter: parameter)))
      case 16:
        events.append(
          .transfer(try TransferResolver(registers: registers, hardware: hardware).transfer()))
      case 17: events.append(.transferWait(Int(parameter)))
      case 18: events.append(.kernelWait(Int(parameter)))
      default: continue
      }
      commands.append(number)
    }
    return (events, commands)
  }

  /// Runs on the memory; `overlapsBlocks` lets blocks of a kernel start before the kernel before is done.
  ///
  /// - Throws: when an operation cannot run, for example because its weights are not there yet.
  func run(
    _ memory: MemoryMap, slow: Schedule, overlapsBlocks: Bool = false, cache: inout WeightCache
  ) throws {
    var state = State(adversary: self, memory: memory, overlapsBlocks: overlapsBlocks)
    swap(&state.cache, &cache)
    defer { swap(&state.cache, &cache) }
    state.cache.beginRun()
    // Chained operations run block by block together: they are one kernel.
    var kernels: [[Int]] = []
    /// Transfers in the order they were issued, the slow ones with their event.
    var transfers: [Int?] = []
    func isSlow(_ index: Int) -> Bool {
      switch (slow, events[index]) {
      case (.allTransfers, .transfer), (.allKernels, .kernel): true
      case (.event(let slow), _): slow == index
      default: false
      }
    }
    func finishKernels(downTo count: Int) throws {
      while kernels.count > count {
        for index in kernels.removeFirst() { try state.execute(index) }
      }
    }
    // However few are unfinished, a wait is for the older ones.
    func finishTransfers(newest count: Int) throws {
      for position in transfers.indices.dropLast(count) {
        if let index = transfers[position] { try state.execute(index) }
        transfers[position] = nil
      }
    }
    for (index, event) in events.enumerated() {
      switch event {
      case .kernel(let op):
        if op.continuesChain, !kernels.isEmpty {
          kernels[kernels.count - 1].append(index)
        } else {
          try finishKernels(downTo: hardware.outstandingKernels - 1)
          kernels.append([index])
        }
        // Kernels finish in order, and a chain that may go on does not finish.
        while let first = kernels.first, !first.contains(where: isSlow), !isChainOpen(first) {
          try finishKernels(downTo: kernels.count - 1)
        }
      case .transfer:
        try finishTransfers(newest: hardware.outstandingTransfers - 1)
        transfers.append(isSlow(index) ? index : nil)
        if !isSlow(index) { try state.execute(index) }
      case .kernelWait(let count): try finishKernels(downTo: count)
      case .transferWait(let count): try finishTransfers(newest: count)
      }
    }
    try finishKernels(downTo: 0)
    try finishTransfers(newest: 0)
  }

  /// Whether the last operation hands its output to one that is still to come.
  private func isChainOpen(_ chain: [Int]) -> Bool {
    guard let last = chain.last, case .kernel(let op) = events[last] else { return false }
    return op.ofm.isChained
  }
}

extension Adversary {
  /// What one run changes.
  private struct State {
    let adversary: Adversary
    let memory: MemoryMap
    let overlapsBlocks: Bool
    var cache = WeightCache(budget: 1 << 28)
    var internalMemory: InternalMemory
    var local = LocalTensors()
    let executor: Executor
    /// The kernel before, and memory as it was before that ran.
    var last: (op: KernelOp, memory: [[UInt8]])?

    init(adversary: Adversary, memory: MemoryMap, overlapsBlocks: Bool) {
      self.adversary = adversary
      self.memory = memory
      self.overlapsBlocks = overlapsBlocks
      internalMemory = InternalMemory(count: adversary.hardware.internalBytes)
      executor = Executor(hardware: adversary.hardware, threads: 1, limits: RunLimits())
    }

    mutating func execute(_ index: Int) throws {
      switch adversary.events[index] {
      case .transfer(let transfer):
        let access = try TransferEngine.access(
          transfer, memory, internalBytes: adversary.hardware.internalBytes, limits: RunLimits())
        TransferEngine.run(
          transfer, access, indices: try TransferEngine.readIndices(transfer, access),
          internalMemory: &internalMemory)
      case .kernel(let op):
        let before = overlapsBlocks ? snapshot() : []
        if overlapsBlocks, op.blockDependency > 0, let last, mayOverlap(op, last.op) {
          try executeOverlapping(op, last.op, last.memory)
        } else {
          try compute(op)
        }
        last = (op, before)
      default: break
      }
    }

    private mutating func compute(_ op: KernelOp) throws {
      var access = try executor.access(op, memory, &local)
      if adversary.inventsWeights, let layout = op.weightLayout {
        try inventWeights(op, layout, &access)
      }
      try executor.run(
        op, access, local, cache: &cache, internalMemory: internalMemory.bytes)
    }

    // MARK: Blocks

    private func snapshot() -> [[UInt8]] {
      (1..<MemoryMap.regionCount).map { memory[$0].map { [UInt8]($0.bank.bytes) } ?? [] }
    }

    private func restore(_ contents: [[UInt8]]) {
      for region in 1..<MemoryMap.regionCount {
        memory[region]?.bank.bytes.copyBytes(from: contents[region - 1])
      }
    }

    /// Only operations on plain memory are cut into blocks.
    private func mayOverlap(_ op: KernelOp, _ earlier: KernelOp) -> Bool {
      op.ofm.storage == .memory && earlier.ofm.storage == .memory && op.writesOutput
        && op.block.depth > 0 && earlier.block.depth > 0 && op.isStoredInOrder
        && [op.ifm, op.ifm2].contains { $0?.region == earlier.ofm.region && $0?.storage == .memory }
        && op.ifm.storage != .chained && op.ifm2?.storage != .chained
    }

    /// Bytes of block `number` of the OFM, or of all of it when it is not stored in order.
    private func blockBytes(_ op: KernelOp, _ number: Int) -> [Range<Int>] {
      let ofm = op.storedOFM
      guard op.isStoredInOrder else {
        return ofm.allBytes(0..<ofm.height, 0..<ofm.width, 0..<ofm.depth)
      }
      func count(_ size: Int, _ block: Int) -> Int { (size + block - 1) / block }
      let deep = count(ofm.depth, op.block.depth)
      let wide = count(ofm.width, op.block.width)
      func range(_ i: Int, _ block: Int, _ size: Int) -> Range<Int> {
        i * block..<min(size, (i + 1) * block)
      }
      return ofm.allBytes(
        range(number / deep / wide, op.block.height, ofm.height),
        range(number / deep % wide, op.block.width, ofm.width),
        range(number % deep, op.block.depth, ofm.depth))
    }

    private func blocks(_ op: KernelOp) -> Int {
      func count(_ size: Int, _ block: Int) -> Int { (size + block - 1) / block }
      return count(op.ofm.height, op.block.height) * count(op.ofm.width, op.block.width)
        * count(op.ofm.depth, op.block.depth)
    }

    /// Channels of the IFM that are fetched at a time; all of them for operations channel by channel.
    private func inputDepth(_ op: KernelOp) -> Int {
      switch op.kind {
      case .convolution, .matrixProduct, .pooling(.reduceSum): break
      default: return op.ifm.depth
      }
      let isPart = op.weightLayout?.isPartKernelFirst ?? false
      let bits = op.ifm.elementBytes * 8
      guard adversary.hardware.product == .u85 else {
        return bits == 32 ? 32 : isPart || bits == 16 ? 16 : 32
      }
      let isSparse = op.weightLayout?.isSparse ?? false
      let unit = adversary.hardware.macs / 8 / max(1, op.microblock.height * op.microblock.width)
      if isPart { return 16 }
      if bits == 32 || (adversary.hardware.macs <= 256 && unit == 16 && !isSparse) { return 32 }
      return isSparse && bits == 8 ? 128 : 64
    }

    /// Runs the operation so that input job `t` sees the last `BLOCKDEP - t` blocks of the kernel before
    /// as if they had not been written.
    private mutating func executeOverlapping(
      _ op: KernelOp, _ earlier: KernelOp, _ stale: [[UInt8]]
    ) throws {
      let region = earlier.ofm.region
      guard let window = memory[region] else { return try compute(op) }
      let current = snapshot()
      let depth = inputDepth(op)
      let jobs = (op.ifm.depth + depth - 1) / depth
      let ownBlocks = blocks(op)
      let earlierBlocks = blocks(earlier)
      var results: [(bytes: [Range<Int>], values: [[UInt8]])] = []
      for block in 0..<min(ownBlocks, (op.blockDependency + jobs - 1) / jobs) {
        restore(current)
        // The first input job that reads a byte; IFM2 is read with the first.
        var firstJob = [Int32](repeating: .max, count: window.size)
        for job in 0..<jobs where op.ifm.region == region && op.ifm.storage == .memory {
          let channels = job * depth..<min(op.ifm.depth, (job + 1) * depth)
          for run in op.ifm.allBytes(0..<op.ifm.height, 0..<op.ifm.width, channels) {
            for byte in run { firstJob[byte] = Int32(block * jobs + job) }
          }
        }
        if let ifm2 = op.ifm2, ifm2.region == region, ifm2.storage == .memory {
          for run in ifm2.allBytes(0..<ifm2.height, 0..<ifm2.width, 0..<ifm2.depth) {
            for byte in run { firstJob[byte] = Int32(block * jobs) }
          }
        }
        var touched = false
        for j in 0..<min(op.blockDependency, earlierBlocks) {
          for run in blockBytes(earlier, earlierBlocks - 1 - j) {
            for byte in run {
              guard Int(firstJob[byte]) + j < op.blockDependency else { continue }
              window.bank.bytes[window.offset + byte] = stale[region - 1][window.offset + byte]
              touched = true
            }
          }
        }
        guard touched else { continue }
        try compute(op)
        let bytes = blockBytes(op, block)
        results.append((bytes, bytes.map { read(op.ofm.region, $0) }))
      }
      restore(current)
      try compute(op)
      for result in results {
        for (range, values) in zip(result.bytes, result.values) {
          guard let window = memory[op.ofm.region] else { continue }
          for (byte, value) in zip(range, values) {
            window.bank.bytes[window.offset + byte] = value
          }
        }
      }
    }

    private func read(_ region: Int, _ range: Range<Int>) -> [UInt8] {
      guard let window = memory[region] else { return [] }
      return window.bank.read(range.lowerBound + window.offset..<range.upperBound + window.offset)
    }

    // MARK: Invented weights

    /// Standard streams of the right length and scales that keep results in range, both made of the bytes
    /// where the real ones should be.
    private mutating func inventWeights(
      _ op: KernelOp, _ layout: WeightLayout, _ access: inout Executor.Access
    ) throws {
      var seed: UInt64 = 1
      for span in access.weights + access.scales {
        for byte in span.bank.bytes[span.range] { seed = (seed ^ UInt64(byte)) &* 0x100_0000_01B3 }
      }
      var generator = SeededGenerator(seed)
      let inputs = layout.isDepthwise ? 1 : layout.ifmDepth
      let taps = layout.kernelHeight * layout.kernelWidth * inputs
      let values = (0..<layout.ofmDepth * taps).map { _ in Int16(generator.int(-99...99)) }
      _ = try cache.weights(access.weights, layout: layout) {
        (_: [MemorySpan], _: WeightLayout) throws(Fault) in values
      }
      let shift = 30 + 7 + (Int.bitWidth - taps.leadingZeroBitCount) / 2
      let isU85 = adversary.hardware.product == .u85
      var records: [UInt8] = []
      for _ in 0..<layout.ofmDepth {
        let bias = generator.int(-1000...1000)
        records +=
          isU85
          ? scaleRecordU85(
            bias: bias, multiplier: op.hasWideAccumulators ? 1 << 14 : 1 << 30,
            shift: op.hasWideAccumulators ? shift - 16 : shift, isWide: op.hasWideAccumulators)
          : scaleRecord(bias: bias, multiplier: 1 << 30, shift: shift)
      }
      if access.scales.count == 2 {
        // Two cores: whole records of all channels serve both.
        let bank = MemoryBank(name: "scales", constant: records)
        access.scales = [0, 1].map { _ in MemorySpan(bank: bank, range: 0..<records.count) }
      } else {
        let bank = MemoryBank(name: "scales", constant: records)
        access.scales = [MemorySpan(bank: bank, range: 0..<records.count)]
      }
    }
  }
}

extension FeatureMap {
  /// Addresses of a box, pixel by pixel and brick by brick, in all tiles.
  fileprivate func allBytes(
    _ rows: Range<Int>, _ columns: Range<Int>, _ channels: Range<Int>
  ) -> [Range<Int>] {
    var result: [Range<Int>] = []
    for y in rows {
      for x in columns {
        let lower = y < height0
        let right = x >= width0
        let base =
          right
          ? (y < height1 ? bases.1 : bases.3) : (lower ? bases.0 : bases.2)
        let row = right ? (y < height1 ? y : y - height1) : (lower ? y : y - height0)
        let pixel = base + row * strideY + (right ? x - width0 : x) * pixelStride
        guard isBricked else {
          result.append(
            pixel + channels.lowerBound * elementBytes..<pixel + channels.upperBound * elementBytes)
          continue
        }
        var c = channels.lowerBound
        while c < channels.upperBound {
          let end = min(channels.upperBound, c / 16 * 16 + 16)
          let at = pixel + c / 16 * strideC + c % 16 * elementBytes
          result.append(at..<at + (end - c) * elementBytes)
          c = end
        }
      }
    }
    return result
  }
}

/// A 10-byte record of U85.
func scaleRecordU85(bias: Int, multiplier: UInt32, shift: Int, isWide: Bool) -> [UInt8] {
  let biasBytes = isWide ? 6 : 4
  return (0..<biasBytes).map { UInt8(truncatingIfNeeded: bias >> (8 * $0)) }
    + (0..<8 - biasBytes).map { UInt8(truncatingIfNeeded: multiplier >> UInt32(8 * $0)) }
    + [UInt8(shift), 0]
}
