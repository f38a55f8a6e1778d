import EthosUISA

/// What limits an operation.
public enum Limiter: String, Sendable, Hashable, CaseIterable {
  case mac = "MAC"
  case output = "output unit"
  case weights = "weight fetch"
  case ifm = "IFM read"
  case ofm = "OFM write"
  case dma = "DMA"
}

/// Cycles of one operation, by unit. The units run concurrently, so the slowest decides.
public struct KernelCost: Sendable, Hashable {
  /// The MAC array.
  public var mac = 0
  /// The output unit.
  public var output = 0
  /// Reading the weight and scale streams.
  public var weights = 0
  /// Reading the IFM and IFM2.
  public var ifm = 0
  /// Writing the OFM.
  public var ofm = 0

  /// The operation's cycles.
  public var total: Int { max(mac, output, weights, ifm, ofm, 1) }

  /// The unit that decides.
  public var limiter: Limiter {
    let units: [(Int, Limiter)] = [
      (mac, .mac), (weights, .weights), (output, .output), (ifm, .ifm), (ofm, .ofm),
    ]
    return units.reduce(units[0]) { $1.0 > $0.0 ? $1 : $0 }.1
  }
}

/// The published per-block formulas of the Ethos-U55 (timing specification, sections 2 to 4).
///
/// An event-driven model takes this type's place later; nothing outside asks for more than `cost`.
public struct KernelCostModel: Sendable {
  private let accelerator: Accelerator

  /// The model of a configuration.
  public init(_ accelerator: Accelerator) { self.accelerator = accelerator }

  /// The cost of one operation whose regions are backed by `memories`.
  public func cost(_ kernel: KernelDescription, memories: [MemoryTraits]) -> KernelCost {
    func memory(_ region: Int) -> MemoryTraits {
      memories.indices.contains(region) ? memories[region] : .ideal
    }
    var cost = KernelCost()
    let elements = kernel.ofm.height * kernel.ofm.width * kernel.ofm.depth
    cost.mac = macCycles(kernel)
    cost.output = Int((Double(elements) * outputCyclesPerElement(kernel)).rounded(.up))
    if kernel.streamBytes > 0 {
      let planes =
        ceilDivide(kernel.ofm.height, kernel.block.height)
        * ceilDivide(kernel.ofm.width, kernel.block.width)
      cost.weights = read(kernel.streamBytes * planes, memory(kernel.streamRegion))
    }
    cost.ifm = read(ifmBytes(kernel) + kernel.ifm2Bytes, memory(kernel.ifmRegion))
    let target = memory(kernel.ofmRegion)
    cost.ofm =
      target.writeLatency
      + Int((Double(elements * kernel.ofmBits / 8) / target.writeBytesPerCycle).rounded(.up))
    return cost
  }

  /// Cycles of a transfer: the slower side's rate, after the source's latency.
  public func transferCycles(bytes: Int, from: MemoryTraits, to: MemoryTraits?) -> Int {
    let rate = min(from.readBytesPerCycle, to?.writeBytesPerCycle ?? .infinity)
    return from.readLatency + Int((Double(bytes) / rate).rounded(.up))
  }

  private func read(_ bytes: Int, _ memory: MemoryTraits) -> Int {
    memory.readLatency + Int((Double(bytes) / memory.readBytesPerCycle).rounded(.up))
  }

  private func ceilDivide(_ a: Int, _ b: Int) -> Int { (a + max(b, 1) - 1) / max(b, 1) }

  /// IFM bytes read, once more for every depth block of operations that need all channels.
  private func ifmBytes(_ kernel: KernelDescription) -> Int {
    let height = (kernel.ofm.height - 1) * kernel.strideY + kernel.kernelHeight
    let width = (kernel.ofm.width - 1) * kernel.strideX + kernel.kernelWidth
    let once = height * width * kernel.ifmDepth * kernel.ifmBits / 8
    if case .convolution = kernel.kind {
      return once * ceilDivide(kernel.ofm.depth, kernel.block.depth)
    }
    return once
  }

  /// MAC cycles over all blocks (section 2).
  private func macCycles(_ kernel: KernelDescription) -> Int {
    if case .elementwise = kernel.kind { return 0 }
    var total = 0
    for y in stride(from: 0, to: kernel.ofm.height, by: max(kernel.block.height, 1)) {
      let height = min(kernel.block.height, kernel.ofm.height - y)
      for x in stride(from: 0, to: kernel.ofm.width, by: max(kernel.block.width, 1)) {
        let width = min(kernel.block.width, kernel.ofm.width - x)
        let full = kernel.ofm.depth / max(kernel.block.depth, 1)
        let rest = kernel.ofm.depth % max(kernel.block.depth, 1)
        total += full * blockCycles(kernel, height, width, kernel.block.depth)
        if rest > 0 { total += blockCycles(kernel, height, width, rest) }
      }
    }
    return total
  }

  private func blockCycles(
    _ kernel: KernelDescription, _ height: Int, _ width: Int, _ depth: Int
  ) -> Int {
    var unit = (accelerator.microblock.height, accelerator.microblock.width)
    // A micro-block of height 2 turns into four columns for rows of even width.
    if unit.0 == 2, kernel.ofm.height == 1, kernel.kernelHeight == 1, kernel.ofm.width % 2 == 0 {
      unit = (1, 4)
    }
    let plane = ceilDivide(height, unit.0) * ceilDivide(width, unit.1)
    let columns = ceilDivide(depth, accelerator.microblock.depth)
    // The weight decoder feeds a column of micro-blocks no faster than this.
    let weightFloor = 32 * accelerator.microblock.depth / 8
    let wide = kernel.ifmBits == 16
    var cycles = 0
    for taps in subKernels(kernel) {
      switch kernel.kind {
      case .convolution(partKernelFirst: false), .pooling(reduceSum: true, max: _):
        let steps = ceilDivide(kernel.ifmDepth, wide ? 16 : 32)
        cycles += max(weightFloor, 4 * plane) * taps * columns * steps
        if plane == 1 { cycles += bubble(kernel, steps: taps * steps, columns: columns) }
      case .convolution(partKernelFirst: true):
        let steps = ceilDivide(kernel.ifmDepth, 16)
        let lanes = ceilDivide(min(kernel.ifmDepth, 16), 8)
        let rounded = ceilDivide(taps, wide ? 2 : 4)
        cycles += max(weightFloor, 4 * plane) * rounded * columns * lanes * steps
        if plane == 1 { cycles += bubble(kernel, steps: rounded * steps, columns: columns) * lanes }
      case .depthwise:
        cycles +=
          max(weightFloor, 4 * plane * kernel.ifmBits / 8) * ceilDivide(taps, 4) * columns
      case .pooling(reduceSum: false, max: _):
        let factor = accelerator.macs == 32 ? 1 : kernel.ifmBits / 8
        // "b/2" of the source counts in bytes of two; 8-bit pooling takes half.
        cycles += max(4, taps) * plane * columns * max(factor, 1) / (accelerator.macs == 32 ? 1 : 2)
      case .elementwise: break
      }
    }
    return cycles
  }

  /// Pipeline bubble when a block is a single micro-block wide (section 2).
  private func bubble(_ kernel: KernelDescription, steps: Int, columns: Int) -> Int {
    let wideAccumulators = kernel.ifmBits == 16
    let depth: Int
    switch accelerator.macs {
    case 32: depth = wideAccumulators ? 7 : 3
    case 64, 128: depth = wideAccumulators ? 3 : 2
    default: depth = 2
    }
    return columns == 1 ? depth * steps : steps > 1 ? depth * (steps - 1) * columns : 0
  }

  /// Taps of each sub-kernel of at most 8×8.
  private func subKernels(_ kernel: KernelDescription) -> [Int] {
    var taps: [Int] = []
    for y in stride(from: 0, to: kernel.kernelHeight, by: 8) {
      for x in stride(from: 0, to: kernel.kernelWidth, by: 8) {
        taps.append(min(8, kernel.kernelHeight - y) * min(8, kernel.kernelWidth - x))
      }
    }
    return taps
  }

  /// Output-unit cycles per element (table of section 4).
  private func outputCyclesPerElement(_ kernel: KernelDescription) -> Double {
    let column = [32: 0, 64: 1, 128: 2, 256: 3][accelerator.macs] ?? 3
    let rates: [Double]
    switch kernel.kind {
    case .elementwise(let binary, let multiply, let sum):
      if multiply && kernel.ofmBits == 32 {
        rates = [3, 1.5, 0.75, 0.5]
      } else if kernel.ifmBits == 32 {
        rates = binary ? [3, 1.5, 1.25, 1.125] : [2, 1, 0.75, 0.625]
      } else if multiply {
        rates = [3, 1.5, 0.75, 0.375]
      } else if sum {
        rates = [6, 3, 1.5, 0.75]
      } else {
        rates = [2, 1, 0.5, 0.25]
      }
    case .pooling(reduceSum: false, max: true): rates = [1, 0.5, 0.25, 0.125]
    case .convolution, .depthwise, .pooling:
      // 16-bit inputs accumulate in 40 bits.
      rates = kernel.ifmBits == 16 ? [3, 1.5, 0.75, 0.375] : [2, 1, 0.5, 0.25]
    }
    let table: [Double] = kernel.usesTable ? [1, 1, 1, 1] : [1, 1, 0.5, 0.25]
    return max(rates[column], table[column])
  }
}
