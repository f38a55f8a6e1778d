import EthosUISA

/// A kernel cut into OFM blocks, with what each block reads, computes and writes.
///
/// Blocks advance depth first, then along the width, then along the height. A class, as every engine asks
/// the plan of its kernel for every burst, and copying it took most of a simulation.
final class KernelPlan {
  /// Runs of contiguous bytes in one memory.
  struct Runs: Sendable {
    var memory: Int
    var count: Int
    var bytes: Int
  }

  let kernel: KernelDescription
  /// Blocks along each axis.
  let rows: Int
  let columns: Int
  let slabs: Int
  /// Whether the MAC array takes part.
  let usesArray: Bool
  /// Whether inputs come from memory.
  let readsInput: Bool
  /// Cycles of the output unit per element, 1/32 cycles.
  var outputRate: Int
  /// Depth of what accumulators are handed over in: 16 channels, or a microblock if that is deeper.
  let sliceDepth: Int
  /// IFM blocks the input buffer holds.
  let inputBlocks: Int
  /// Memory of weights and scales.
  let weightMemory: Int
  let scaleMemory: Int
  /// Extra operands of operations chained behind this one.
  var chainedInputs: [FeatureMapTraffic] = []

  /// The output of the last operation of a chain, if this one starts one.
  var chainedOutput: FeatureMapTraffic?

  private let micro: Microarchitecture
  private let memories: MemorySystem
  /// Array work of blocks by (last row, last column, last slab).
  private let work: [ArrayWork]

  init(_ kernel: KernelDescription, _ micro: Microarchitecture, _ memories: MemorySystem) {
    self.kernel = kernel
    self.micro = micro
    self.memories = memories
    rows = ceilDivide(kernel.ofm.height, kernel.block.height)
    columns = ceilDivide(kernel.ofm.width, kernel.block.width)
    slabs = ceilDivide(kernel.ofm.depth, kernel.block.depth)
    var isElementwise = false
    if case .elementwise = kernel.kind { isElementwise = true }
    usesArray = !isElementwise
    readsInput = kernel.ifm.region != nil || kernel.ifm2?.region != nil
    outputRate = OutputRate.cycles32(kernel, micro.accelerator)
    inputBlocks = Self.inputBlocks(kernel, micro)
    sliceDepth = micro.isU85 ? max(16, kernel.microblock.depth) : kernel.block.depth
    weightMemory = memories.memory(ofRegion: kernel.weightRegion)
    scaleMemory = memories.memory(ofRegion: kernel.scaleRegion)
    var work: [ArrayWork] = []
    for index in 0..<8 {
      let height =
        index & 1 == 0 ? kernel.block.height : Self.rest(kernel.ofm.height, kernel.block.height)
      let width =
        index & 2 == 0 ? kernel.block.width : Self.rest(kernel.ofm.width, kernel.block.width)
      let depth =
        index & 4 == 0 ? kernel.block.depth : Self.rest(kernel.ofm.depth, kernel.block.depth)
      work.append(
        ArrayWork(
          kernel, height: min(height, kernel.ofm.height), width: min(width, kernel.ofm.width),
          depth: min(depth, kernel.ofm.depth), micro))
    }
    self.work = work
  }

  private static func rest(_ size: Int, _ block: Int) -> Int { (size - 1) % block + 1 }

  /// Number of OFM blocks.
  var blocks: Int { rows * columns * slabs }

  /// A block's place and clipped size.
  struct Block {
    var row: Int
    var column: Int
    var slab: Int
    var height: Int
    var width: Int
    var depth: Int
    var elements: Int { height * width * depth }
  }

  /// The `index`-th block.
  func block(_ index: Int) -> Block {
    let slab = index % slabs
    let plane = index / slabs
    let column = plane % columns
    let row = plane / columns
    return Block(
      row: row, column: column, slab: slab,
      height: min(kernel.block.height, kernel.ofm.height - row * kernel.block.height),
      width: min(kernel.block.width, kernel.ofm.width - column * kernel.block.width),
      depth: min(kernel.block.depth, kernel.ofm.depth - slab * kernel.block.depth))
  }

  /// What the MAC array does for a block.
  func work(_ block: Block) -> ArrayWork {
    work[
      (block.row == rows - 1 ? 1 : 0) | (block.column == columns - 1 ? 2 : 0)
        | (block.slab == slabs - 1 ? 4 : 0)]
  }

  /// IFM units (depth blocks) a block needs, and how many of the first are still there from the block
  /// before: a U85 walks the input depth back and forth, so it finds the last ones again.
  func inputUnits(_ block: Block, _ work: ArrayWork) -> (total: Int, kept: Int) {
    guard readsInput else { return (0, 0) }
    guard usesArray, sharesInput else { return (1, 0) }
    guard block.slab > 0 else { return (work.steps, 0) }
    // Others walk it in one direction: what they need next is only there if everything fits.
    let kept =
      micro.isU85 ? min(inputBlocks, work.steps) : work.steps <= inputBlocks ? work.steps : 0
    return (work.steps, kept)
  }

  /// IFM blocks the input buffer holds: two by design; a U85 keeps up to four if they fit, because that
  /// many are not read again where the walk turns around (read beats of published 3×3 convolutions).
  private static func inputBlocks(_ kernel: KernelDescription, _ micro: Microarchitecture) -> Int {
    guard let capacity = micro.accelerator.localRAMs?.input else { return 2 }
    if case .elementwise = kernel.kind { return 2 }
    func extent(_ block: Int, _ stride: Int, _ taps: Int, _ size: Int) -> Int {
      let needed = (block - 1) * stride + min(taps, 8)
      return (kernel.isUpscaled ? ceilDivide(needed, 2) : needed + 1) / 2 * 2
    }
    let height = extent(
      kernel.block.height, kernel.strideY, (kernel.kernelHeight - 1) * kernel.dilationY + 1,
      kernel.ifm.height)
    let width = extent(
      kernel.block.width, kernel.strideX, (kernel.kernelWidth - 1) * kernel.dilationX + 1,
      kernel.ifm.width)
    let depth: Int
    switch kernel.kind {
    case .convolution(partKernelFirst: true): depth = 16
    case .convolution, .pooling(reduceSum: true, max: _):
      depth = min(
        ArrayWork.inputBlockDepth(kernel, macs: micro.accelerator.macs),
        ceilDivide(kernel.ifm.depth, 16) * 16)
    default: depth = kernel.block.depth
    }
    let bytes = max(height * width * depth * kernel.ifm.bits / 8, 1)
    return min(max(capacity / bytes, 2), 4)
  }

  /// Whether each OFM depth block reads the same input.
  private var sharesInput: Bool {
    switch kernel.kind {
    case .convolution, .pooling(reduceSum: true, max: _): true
    default: false
    }
  }

  /// The reads of one IFM unit of a block: `step` counts depth blocks in the order of the walk.
  func inputRuns(_ block: Block, step: Int, steps: Int) -> [Runs] {
    var runs: [Runs] = []
    if sharesInput {
      let depth = ceilDivide(kernel.ifm.depth, steps)
      // Depth blocks are whole but the last; which one is short matters little, its size does.
      let unit = min(unitDepth ?? depth, kernel.ifm.depth)
      let index = micro.isU85 && block.slab % 2 == 1 ? steps - 1 - step : step
      let channels = min(unit, kernel.ifm.depth - index * unit)
      add(kernel.ifm, window: block, channels: max(channels, 1), &runs)
    } else {
      add(kernel.ifm, window: block, channels: min(block.depth, kernel.ifm.depth), &runs)
    }
    if let second = kernel.ifm2 {
      add(second, window: block, channels: min(block.depth, second.depth), &runs)
    }
    for extra in chainedInputs {
      add(extra, window: block, channels: min(block.depth, extra.depth), &runs)
    }
    return runs
  }

  /// Rows of microblocks of a block.
  func microblockRows(_ block: Block) -> Int { ceilDivide(block.height, kernel.microblock.height) }

  /// Bytes of a unit's reads that the first row of microblocks needs.
  func firstRowBytes(_ block: Block, _ runs: [Runs]) -> Int {
    let total = runs.reduce(0) { $0 + $1.count * $1.bytes }
    let taps = usesArray ? (kernel.kernelHeight - 1) * kernel.dilationY + 1 : 1
    let stride = usesArray ? kernel.strideY : 1
    let needed = (min(kernel.microblock.height, block.height) - 1) * stride + taps
    let all = (block.height - 1) * stride + taps
    return needed >= all ? total : total * needed / all
  }

  /// Channels of a whole IFM depth block.
  private var unitDepth: Int? {
    let isWide = kernel.ifm.bits == 16
    switch kernel.kind {
    case .convolution(partKernelFirst: true): return 16
    case .convolution(partKernelFirst: false), .pooling(reduceSum: true, max: _):
      return micro.isU85
        ? ArrayWork.inputBlockDepth(kernel, macs: micro.accelerator.macs) : isWide ? 16 : 32
    default: return nil
    }
  }

  private func add(
    _ map: FeatureMapTraffic, window block: Block, channels: Int, _ runs: inout [Runs]
  ) {
    guard let region = map.region else { return }
    let memory = memories.memory(ofRegion: region)
    let rows: Int
    let columns: Int
    if case .elementwise = kernel.kind {
      rows = min(block.height, map.height)
      columns = min(block.width, map.width)
    } else {
      rows = Self.extent(
        first: block.row * kernel.block.height, count: block.height, stride: kernel.strideY,
        kernel: (kernel.kernelHeight - 1) * kernel.dilationY + 1, pad: kernel.padTop,
        size: map.height, doubled: kernel.isUpscaled)
      columns = Self.extent(
        first: block.column * kernel.block.width, count: block.width, stride: kernel.strideX,
        kernel: (kernel.kernelWidth - 1) * kernel.dilationX + 1, pad: kernel.padLeft,
        size: map.width, doubled: kernel.isUpscaled)
    }
    guard rows > 0, columns > 0, channels > 0 else { return }
    let element = max(map.bits / 8, 1)
    if map.isBricked {
      runs.append(
        Runs(memory: memory, count: rows * ceilDivide(channels, 16), bytes: columns * 16 * element))
    } else if channels >= map.depth {
      if columns == map.width {
        runs.append(Runs(memory: memory, count: 1, bytes: rows * columns * map.depth * element))
      } else {
        runs.append(Runs(memory: memory, count: rows, bytes: columns * map.depth * element))
      }
    } else {
      runs.append(Runs(memory: memory, count: rows * columns, bytes: channels * element))
    }
  }

  /// Input rows (or columns) that outputs `first..<first + count` touch inside the map.
  private static func extent(
    first: Int, count: Int, stride: Int, kernel: Int, pad: Int, size: Int, doubled: Bool
  ) -> Int {
    let start = max(first * stride - pad, 0)
    let end = min((first + count - 1) * stride - pad + kernel, doubled ? 2 * size : size)
    guard end > start else { return 0 }
    return doubled ? (end + 1) / 2 - start / 2 : end - start
  }

  /// Encoded bytes of a block's weights: its share of the depth.
  func weightBytes(_ block: Block) -> Int { share(kernel.weightBytes, block) }

  /// Bytes of a block's scale records.
  func scaleBytes(_ block: Block) -> Int { share(kernel.scaleBytes, block) }

  /// Bytes of the scale records of a slice of a block.
  func scaleBytes(_ block: Block, slice: Int) -> Int {
    guard kernel.scaleBytes > 0 else { return 0 }
    let all = scaleBytes(block)
    let first = slice * sliceDepth
    let last = min(first + sliceDepth, block.depth)
    return all * last / block.depth - all * first / block.depth
  }

  private func share(_ total: Int, _ block: Block) -> Int {
    let first = block.slab * kernel.block.depth
    return total * (first + block.depth) / kernel.ofm.depth - total * first / kernel.ofm.depth
  }

  /// The writes of `depth` channels of a block.
  func outputRuns(_ block: Block, depth: Int) -> Runs {
    let map = chainedOutput ?? kernel.ofm
    let element = max(map.bits / 8, 1)
    // Accumulators that stay for the next operation are not written.
    guard let region = map.region else { return Runs(memory: 0, count: 0, bytes: 0) }
    let ofmMemory = memories.memory(ofRegion: region)
    if map.isBricked {
      return Runs(
        memory: ofmMemory, count: block.height * ceilDivide(depth, 16),
        bytes: block.width * 16 * element)
    }
    // The output unit hands over bricks of 16 channels: one transaction each.
    let bricks = ceilDivide(depth, 16)
    return Runs(
      memory: ofmMemory, count: block.height * block.width * bricks,
      bytes: min(depth, 16) * element)
  }
}
