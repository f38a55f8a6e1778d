import EthosUISA

/// What the MAC array does for one OFM block: passes over IFM depth blocks, each over the depth columns
/// of the block, each of which consumes one set of weights.
struct ArrayWork: Sendable {
  /// IFM depth blocks; 1 where the input has the output's depth; 0 for elementwise operations.
  var steps = 0
  /// Depth columns (microblocks deep) of the OFM block.
  var columns = 0
  /// Cycles of one column of a whole and of the last, possibly shallower, pass.
  var columnCycles = 0
  var lastColumnCycles = 0
  /// Cycles added to a pass because the pipeline runs dry between small columns.
  var bubble = 0

  /// Cycles of the block.
  var cycles: Int {
    guard steps > 0 else { return 0 }
    return ((steps - 1) * columnCycles + lastColumnCycles) * columns + steps * bubble
  }

  /// Work of a block of the given clipped size.
  init(
    _ kernel: KernelDescription, height: Int, width: Int, depth: Int, _ micro: Microarchitecture
  ) {
    if case .elementwise = kernel.kind { return }
    let accelerator = micro.accelerator
    // The two cores of a U65 take every other channel.
    let depth = ceilDivide(depth, accelerator.cores)
    var unit = kernel.microblock
    // U55/U65: a microblock of height 2 acts as four columns for rows of even width (Vela 5.x).
    if !micro.isU85, unit.height == 2, kernel.ofm.height == 1, kernel.kernelHeight == 1,
      kernel.ofm.width % 2 == 0
    {
      unit = BlockShape(1, 4, unit.depth)
    }
    let plane = ceilDivide(height, unit.height) * ceilDivide(width, unit.width)
    columns = ceilDivide(depth, unit.depth)
    if case .resize = kernel.kind {
      // No public formula; four reads and products a microblock (assumption).
      steps = 1
      columnCycles = 4 * plane
      lastColumnCycles = columnCycles
      return
    }
    if micro.isU85 {
      wide(kernel, plane, macs: accelerator.macs)
    } else {
      narrow(kernel, plane, unit, accelerator)
    }
  }

  /// U55 and U65: four columns of microblocks a pass of 32 channels (Vela 5.x, per-block formulas).
  private mutating func narrow(
    _ kernel: KernelDescription, _ plane: Int, _ unit: BlockShape, _ accelerator: Accelerator
  ) {
    // The weight decoder feeds a column no faster than 8 weights a cycle.
    let floor = 32 * unit.depth / 8
    let isWide = kernel.ifm.bits == 16
    let taps = subKernels(kernel)
    switch kernel.kind {
    case .convolution(partKernelFirst: false), .pooling(reduceSum: true, max: _):
      steps = ceilDivide(kernel.ifm.depth, isWide ? 16 : 32)
      columnCycles = max(floor, 4 * plane) * taps.reduce(0, +)
      lastColumnCycles = columnCycles
      if plane == 1 { bubble = pipelineBubble(kernel, accelerator) * taps.reduce(0, +) }
    case .convolution(partKernelFirst: true):
      steps = ceilDivide(kernel.ifm.depth, 16)
      let rounded = taps.reduce(0) { $0 + ceilDivide($1, isWide ? 2 : 4) }
      func lanes(_ channels: Int) -> Int { ceilDivide(channels, 8) }
      columnCycles = max(floor, 4 * plane) * rounded * lanes(min(kernel.ifm.depth, 16))
      lastColumnCycles =
        max(floor, 4 * plane) * rounded * lanes(kernel.ifm.depth - 16 * (steps - 1))
      if plane == 1 {
        bubble = pipelineBubble(kernel, accelerator) * rounded * lanes(min(kernel.ifm.depth, 16))
      }
    case .depthwise:
      steps = 1
      columnCycles =
        max(floor, 4 * plane * kernel.ifm.bits / 8)
        * taps.reduce(0) { $0 + ceilDivide($1, 4) }
      lastColumnCycles = columnCycles
    default:
      steps = 1
      // Half of the bytes of an element, except on the smallest configuration.
      let cycles = taps.reduce(0) { $0 + max(4, $1) } * plane
      columnCycles =
        accelerator.macs == 32 ? cycles : cycles * max(kernel.ifm.bits / 8, 1) / 2
      lastColumnCycles = columnCycles
    }
  }

  /// Cycles a pass loses when its columns are a single microblock (Vela 5.x: 2, or 3 with wide
  /// accumulators on the small configurations).
  private func pipelineBubble(_ kernel: KernelDescription, _ accelerator: Accelerator) -> Int {
    let depth: Int
    switch accelerator.macs {
    case 32: depth = kernel.usesWideAccumulators ? 7 : 3
    case 64, 128: depth = kernel.usesWideAccumulators ? 3 : 2
    default: depth = 2
    }
    return columns == 1 ? depth : depth * columns
  }

  /// U85.
  ///
  /// Vela's formulas with kernel taps not rounded up to four: the published cycles of 3×3 convolutions
  /// without memory latency lie below the rounded product. Taps are rounded as Vela itself rounds them
  /// to choose the traversal, five at a time and then two.
  private mutating func wide(_ kernel: KernelDescription, _ plane: Int, macs: Int) {
    let bytes = max(kernel.ifm.bits / 8, 1)
    let taps = subKernels(kernel)
    let rounded = taps.reduce(0) { sum, taps in
      sum + taps / 5 * 5 + (taps % 5 == 0 ? 0 : max(taps % 5, 2))
    }
    let sparse = kernel.isSparse ? 2 : 1
    switch kernel.kind {
    case .convolution(partKernelFirst: false), .pooling(reduceSum: true, max: _):
      let blockDepth = Self.inputBlockDepth(kernel, macs: macs)
      steps = ceilDivide(kernel.ifm.depth, blockDepth)
      let product = taps.reduce(0, +) * plane * bytes
      func cycles(_ channels: Int) -> Int { ceilDivide(ceilDivide(channels, 8) * product, sparse) }
      columnCycles = cycles(min(blockDepth, kernel.ifm.depth))
      lastColumnCycles = cycles(kernel.ifm.depth - blockDepth * (steps - 1))
    case .convolution(partKernelFirst: true):
      steps = ceilDivide(kernel.ifm.depth, 16)
      columnCycles = ceilDivide(2 * rounded * plane * bytes, sparse)
      lastColumnCycles = columnCycles
    case .depthwise:
      steps = 1
      columnCycles = rounded * plane * bytes
      lastColumnCycles = columnCycles
    default:
      steps = 1
      columnCycles = max(taps.reduce(0) { $0 + max(4, $1) } * plane * bytes / 2, 1)
      lastColumnCycles = columnCycles
    }
  }

  /// U85: channels of an IFM block of depth-first traversal (Vela 5.x).
  static func inputBlockDepth(_ kernel: KernelDescription, macs: Int) -> Int {
    if kernel.ifm.bits == 32 { return 32 }
    if kernel.isSparse { return kernel.ifm.bits == 8 ? 128 : 64 }
    return macs <= 256 && kernel.microblock.depth == 16 ? 32 : 64
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
}

/// `a / b` rounded up, for positive numbers.
@inline(__always)
func ceilDivide(_ a: Int, _ b: Int) -> Int { (a + b - 1) / max(b, 1) }
