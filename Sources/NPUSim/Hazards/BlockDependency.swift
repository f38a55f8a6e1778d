/// How far two consecutive kernels may overlap.
///
/// BLOCKDEP `b` lets block `i` of a kernel start while the last `b - i` blocks of the kernel before are
/// unfinished. The limit is the one that Arm's compiler computes: it looks at the first few input blocks
/// of the later kernel and the last few output blocks of the earlier one.
struct BlockDependency {
  let earlier: KernelOp
  let later: KernelOp
  let hardware: Hardware

  private var maximum: Int { hardware.maximumBlockDependency }

  /// Largest safe BLOCKDEP as far as the inputs of the later kernel are concerned, and the input that
  /// sets it.
  ///
  /// - Parameters:
  ///   - inputs: tensors the later kernel reads with the bytes around them.
  ///   - output: what the earlier kernel writes.
  func limit(
    inputs: [(map: FeatureMap, spans: [MemorySpan])], output: [Footprint]
  ) -> (value: Int, role: TensorRole) {
    var limit = (value: maximum, role: TensorRole.ifm)
    for input in inputs {
      let overlaps = input.spans.contains { span in
        let own = Footprint(input.map.role, span)
        return output.contains { $0.overlaps(own) }
      }
      guard overlaps else { continue }
      let own: Int
      if !comparesBlocks(with: input.map) {
        own = 0
      } else if let offset = offset(in: input.map) {
        own = blockLimit(input.map, offset: offset)
      } else {
        own = byteLimit(input.map)
      }
      if own < limit.value { limit = (own, input.map.role) }
    }
    return limit
  }

  /// Where the earlier OFM lies in the coordinates (y, x, channel) of the input, when both are parts of
  /// one tensor, so that blocks can be compared; compilers cut layers into slices.
  private func offset(in input: FeatureMap) -> (Int, Int, Int)? {
    let output = earlier.ofm
    guard input.elementBytes == output.elementBytes, input.isBricked == output.isBricked,
      max(input.height, output.height) == 1 || input.strideY == output.strideY,
      max(input.width, output.width) == 1 || input.pixelStride == output.pixelStride,
      !input.isBricked || max(input.depth, output.depth) <= 16 || input.strideC == output.strideC,
      input.isOneTile, output.isOneTile,
      // A broadcast operand is read as a whole by every block.
      input.height == later.ifm.height, input.width == later.ifm.width,
      input.depth == later.ifm.depth
    else { return nil }
    let distance = output.bases.0 - input.bases.0
    guard distance != 0 else { return (0, 0, 0) }
    var rest = abs(distance)
    func take(_ stride: Int) -> Int {
      guard stride > 0 else { return 0 }
      defer { rest %= stride }
      return rest / stride
    }
    let y = take(max(input.height, output.height) == 1 ? 0 : input.strideY)
    var c = 0
    if input.isBricked { c = 16 * take(max(input.depth, output.depth) <= 16 ? 0 : input.strideC) }
    let x = take(max(input.width, output.width) == 1 ? 0 : input.pixelStride)
    guard rest % input.elementBytes == 0 else { return nil }
    c += rest / input.elementBytes
    // Both must lie side by side within the rows and pixels of one tensor, without wrapping round.
    let (first, second) = distance > 0 ? (input, output) : (output, input)
    let width = max(first.width, x + second.width)
    let depth = max(first.depth, c + second.depth)
    let bytes = input.elementBytes
    if input.isBricked {
      let bricks = (depth + 15) / 16
      guard bricks == 1 || width * 16 * bytes <= input.strideC,
        max(input.height, output.height) == 1
          || max(width * 16 * bytes, (bricks - 1) * input.strideC) <= input.strideY
      else { return nil }
    } else {
      guard width == 1 || depth * bytes <= input.strideX,
        max(input.height, output.height) == 1
          || max(depth * bytes, (width - 1) * input.strideX) <= input.strideY
      else { return nil }
    }
    return distance >= 0 ? (y, x, c) : (-y, -x, -c)
  }

  /// Boxes in job order: depth first, then width, then height.
  private struct Jobs {
    /// Height, width, depth of the tensor and of a box.
    var size: (Int, Int, Int)
    var box: (Int, Int, Int)

    private func number(_ size: Int, _ box: Int) -> Int { (size + box - 1) / box }

    var count: Int {
      number(size.0, box.0) * number(size.1, box.1) * number(size.2, box.2)
    }

    /// Rows, columns and channels of a job, moved by an offset.
    func ranges(_ index: Int, at offset: (Int, Int, Int)) -> (Range<Int>, Range<Int>, Range<Int>) {
      let deep = number(size.2, box.2)
      let wide = number(size.1, box.1)
      func range(_ i: Int, _ box: Int, _ size: Int, _ offset: Int) -> Range<Int> {
        i * box + offset..<min(size, (i + 1) * box) + offset
      }
      return (
        range(index / deep / wide, box.0, size.0, offset.0),
        range(index / deep % wide, box.1, size.1, offset.1),
        range(index % deep, box.2, size.2, offset.2)
      )
    }
  }

  /// Whether blocks say which bytes are touched when.
  private func comparesBlocks(with input: FeatureMap) -> Bool {
    if case .resize = later.kind { return false }
    return earlier.isStoredInOrder && earlier.block.depth > 0
      && later.block.depth > 0 && input.region == earlier.ofm.region
      && input.width <= input.width0 && earlier.ofm.width <= earlier.ofm.width0
  }

  /// Blocks of the earlier output.
  private var outputJobs: Jobs {
    Jobs(size: (earlier.ofm.height, earlier.ofm.width, earlier.ofm.depth), box: earlier.block)
  }

  /// What the blocks of the later kernel read of an input.
  private func inputJobs(_ input: FeatureMap) -> Jobs {
    let block = later.block
    let kernel = later.kernel
    return Jobs(
      size: (input.height, input.width, input.depth),
      box: (
        (block.height - 1) * kernel.strideY + kernel.dilatedHeight,
        (block.width - 1) * kernel.strideX + kernel.dilatedWidth, inputDepth
      ))
  }

  /// The smallest distance of blocks that share bytes. Broadcast operands and the weights of a matrix
  /// product count as read by the first block.
  private func byteLimit(_ input: FeatureMap) -> Int {
    let outputs = outputJobs
    var limit = maximum
    let written = (0..<min(maximum, outputs.count)).map {
      earlier.ofm.byteRuns(outputs.ranges(outputs.count - 1 - $0, at: (0, 0, 0)))
    }
    func compare(_ read: [Range<Int>], _ i: Int) {
      for (j, runs) in written.enumerated() where i + j < limit {
        if FeatureMap.overlap(read, runs) { limit = i + j }
      }
    }
    let isBlockwise =
      input.height == later.ifm.height && input.width == later.ifm.width
      && input.depth == later.ifm.depth
    guard isBlockwise, !(later.kind.isMatrixProduct && input.role == .ifm2) else {
      compare(input.byteRuns((0..<input.height, 0..<input.width, 0..<input.depth)), 0)
      return limit
    }
    let inputs = inputJobs(input)
    for i in 0..<min(maximum, inputs.count) where i < limit {
      compare(input.byteRuns(inputs.ranges(i, at: (0, 0, 0))), i)
    }
    return limit
  }

  /// The smallest distance of overlapping blocks.
  private func blockLimit(_ input: FeatureMap, offset: (Int, Int, Int)) -> Int {
    let inputs = inputJobs(input)
    let outputs = outputJobs
    var limit = maximum
    for i in 0..<min(maximum, inputs.count) {
      let read = inputs.ranges(i, at: (0, 0, 0))
      for j in 0..<min(maximum, outputs.count) where i + j < limit {
        let written = outputs.ranges(outputs.count - 1 - j, at: offset)
        if read.0.overlaps(written.0), read.1.overlaps(written.1), read.2.overlaps(written.2) {
          limit = i + j
        }
      }
    }
    return limit
  }

  /// Channels of an input block.
  private var inputDepth: Int {
    let depth = later.ifm.depth
    switch later.kind {
    case .depthwise, .elementwise, .resize: return later.block.depth
    case .pooling(let mode) where mode != .reduceSum: return later.block.depth
    case .convolution, .matrixProduct, .pooling:
      if let u85InputDepth { return u85InputDepth }
      if later.ifm.elementBytes == 4 { return 32 }
      if later.ifm.elementBytes == 2 { return (min(depth, 16) + 3) / 4 * 4 }
      let isPart = later.weightLayout?.isPartKernelFirst ?? false
      return (min(depth, isPart ? 16 : 32) + 7) / 8 * 8
    }
  }

  /// The depth of IFM blocks on U85, `nil` on other products.
  private var u85InputDepth: Int? {
    guard hardware.product == .u85 else { return nil }
    let layout = later.weightLayout
    if layout?.isPartKernelFirst ?? false { return 16 }
    let isSparse = layout?.isSparse ?? false
    let unit = hardware.macs / 8 / max(1, later.microblock.height * later.microblock.width)
    if later.ifm.elementBytes == 4 || (hardware.macs <= 256 && unit == 16 && !isSparse) {
      return 32
    }
    return isSparse && later.ifm.elementBytes == 1 ? 128 : 64
  }
}

extension FeatureMap {
  /// The bytes of a box of rows, columns and channels, as addresses in the region in rising order; only
  /// for maps that are at most one tile wide.
  func byteRuns(_ box: (Range<Int>, Range<Int>, Range<Int>)) -> [Range<Int>] {
    var runs: [Range<Int>] = []
    for y in box.0 {
      let row = y < height0 ? bases.0 + y * strideY : bases.2 + (y - height0) * strideY
      for x in box.1 {
        let pixel = row + x * pixelStride
        guard isBricked else {
          runs.append(
            pixel + box.2.lowerBound * elementBytes..<pixel + box.2.upperBound * elementBytes)
          continue
        }
        for brick in box.2.lowerBound / 16...max(box.2.lowerBound, box.2.upperBound - 1) / 16 {
          let lower = max(box.2.lowerBound, brick * 16) - brick * 16
          let upper = min(box.2.upperBound, brick * 16 + 16) - brick * 16
          let base = pixel + brick * strideC
          runs.append(base + lower * elementBytes..<base + upper * elementBytes)
        }
      }
    }
    return runs.sorted { $0.lowerBound < $1.lowerBound }
  }

  /// Whether two rising lists of byte ranges share a byte.
  static func overlap(_ a: [Range<Int>], _ b: [Range<Int>]) -> Bool {
    var i = 0
    var j = 0
    while i < a.count, j < b.count {
      if a[i].overlaps(b[j]) { return true }
      if a[i].upperBound < b[j].upperBound { i += 1 } else { j += 1 }
    }
    return false
  }
}
