/// What BLOCKDEP needs to know of a kernel operation.
public struct KernelFootprint: Sendable {
  /// The operation.
  public var operation: KernelOperation
  /// Its OFM block.
  public var block: BlockShape
  /// Channels of its IFM block.
  public var ifmBlockDepth: Int
  /// Its inputs.
  public var inputs: [FeatureMapPlace]
  /// Its output; nil when nothing is written.
  public var output: FeatureMapPlace?
  /// U85: part of a chain.
  public var isChained: Bool
  /// U85: the OFM is stored transposed or reversed.
  public var isPermuted: Bool

  /// A footprint from its parts.
  public init(
    operation: KernelOperation, block: BlockShape, ifmBlockDepth: Int, inputs: [FeatureMapPlace],
    output: FeatureMapPlace?, isChained: Bool = false, isPermuted: Bool = false
  ) {
    self.operation = operation
    self.block = block
    self.ifmBlockDepth = ifmBlockDepth
    self.inputs = inputs
    self.output = output
    self.isChained = isChained
    self.isPermuted = isPermuted
  }
}

extension KernelFootprint {
  /// The footprint of `command` with `registers` as they are; nil when it is no kernel operation.
  public init?(_ command: Command, registers: RegisterFile, rules: BlockRules) {
    guard let operation = KernelOperation(command, registers: registers),
      let block = registers.ofmBlock
    else { return nil }
    let unit = registers.value(.setAccFormat, .microblock, as: ISA.Microblock.self)
      .flatMap(rules.microblock)
    var inputs: [FeatureMapPlace] = []
    if let place = registers.place(.ifm, shape: operation.ifmShape(registers)) {
      inputs.append(place)
    }
    if operation.kind == .elementwise, operation.hasSecondTensor,
      let place = registers.place(.ifm2, shape: operation.ifm2Shape(registers))
    {
      inputs.append(place)
    } else if operation.kind == .matrixProduct,
      let place = registers.place(
        .ifm2, shape: BlockShape(1, operation.ofm.depth, operation.ifm.depth))
    {
      inputs.append(place)
    }
    // Accumulators that start from IFM2.
    if registers.value(.setAccFormat, .accInput, as: ISA.AccInput.self) == .ifm2,
      let place = registers.place(.ifm2, shape: operation.ofm)
    {
      inputs.append(place)
    }
    let permutation =
      (registers.value(.setOFMPrecision, .activationTranspose) ?? 0)
      | (registers.value(.setOFMPrecision, .activationReverse) ?? 0)
    let output = registers.place(.ofm, shape: operation.ofm)
    self.init(
      operation: operation, block: block,
      ifmBlockDepth: rules.ifmBlockDepth(operation, block: block, microblock: unit),
      inputs: inputs, output: output,
      isChained: inputs.contains(where: \.isChained) || output?.isChained == true,
      isPermuted: permutation != 0)
  }
}

extension KernelOperation {
  /// The IFM's own shape: 1 along broadcast axes (U85, where the first operand can be repeated).
  func ifmShape(_ registers: RegisterFile) -> BlockShape {
    guard kind == .elementwise, registers.product == .u85 else { return ifm }
    return Self.shrunk(ofm, by: registers.value(.setIFMBroadcast, .broadcastMode) ?? 0)
  }

  /// The second operand's own shape: 1 along broadcast axes.
  func ifm2Shape(_ registers: RegisterFile) -> BlockShape {
    guard registers.product != .u85 else {
      return Self.shrunk(ofm, by: registers.value(.setIFM2Broadcast, .broadcastMode) ?? 0)
    }
    return BlockShape(
      broadcast.height ? 1 : ofm.height, broadcast.width ? 1 : ofm.width,
      broadcast.depth ? 1 : ofm.depth)
  }

  private static func shrunk(_ shape: BlockShape, by code: Int) -> BlockShape {
    BlockShape(
      code & 1 != 0 ? 1 : shape.height, code & 2 != 0 ? 1 : shape.width,
      code & 4 != 0 ? 1 : shape.depth)
  }
}

/// How many blocks of the previous kernel may be unfinished when the next one starts.
public enum BlockDependency {
  /// The largest safe value for `next` right after `previous`; 0 for the first kernel.
  ///
  /// 0 is always safe and costs only overlap. Rule: Vela 5.2.0's, reproduced from its streams.
  public static func value(
    previous: KernelFootprint?, next: KernelFootprint, on accelerator: Accelerator
  ) -> Int {
    guard let previous, !previous.isChained, !next.isChained, !previous.isPermuted else {
      return 0
    }
    // Without reserved banks an operation without tables overwrites them.
    if accelerator.sharedRAM?.reservedTableBanks == 0, previous.operation.usesTable,
      !next.operation.usesTable
    {
      return 0
    }
    let limit = accelerator.product.outstanding.blockDependency
    guard let output = previous.output else { return limit }
    let sharing = next.inputs.filter { $0.overlaps(output) }
    guard let input = sharing.first else { return limit }
    // A second input that overlaps has to be the same map.
    guard sharing.allSatisfy({ $0 == input }) else { return 0 }
    // A repeated operand counts as read whole by the first block.
    if next.operation.kind == .elementwise, input.shape != next.operation.ofm { return 0 }
    if let offset = input.offset(ofSlice: output) {
      return overlap(previous, next, limit, outputOffset: offset)
    }
    return 0
  }

  /// Compares the last output blocks with the first input blocks.
  private static func overlap(
    _ previous: KernelFootprint, _ next: KernelFootprint, _ limit: Int, outputOffset: BlockShape
  ) -> Int {
    let outputs = Jobs(area: previous.operation.ofm, block: previous.block)
    let operation = next.operation
    let box = BlockShape(
      (next.block.height - 1) * operation.stride.y + operation.kernel.height,
      (next.block.width - 1) * operation.stride.x + operation.kernel.width,
      next.ifmBlockDepth)
    let inputs = Jobs(area: operation.ifm, block: box)
    let available = min(limit, outputs.count, inputs.count)
    for distance in 0..<available {
      for first in 0...distance {
        let last = outputs[outputs.count - 1 - (distance - first)]
        if inputs[first].overlaps(last.moved(by: outputOffset)) {
          return distance
        }
      }
    }
    return available
  }
}

/// The blocks of a map in the order they are worked on: depth first, then width, then height.
struct Jobs {
  let area: BlockShape
  let block: BlockShape
  private let across: (height: Int, width: Int, depth: Int)

  /// The blocks that cover `area`.
  init(area: BlockShape, block: BlockShape) {
    self.area = area
    self.block = BlockShape(max(1, block.height), max(1, block.width), max(1, block.depth))
    across = (
      ceilDivide(area.height, self.block.height), ceilDivide(area.width, self.block.width),
      ceilDivide(area.depth, self.block.depth)
    )
  }

  /// Number of blocks.
  var count: Int { across.height * across.width * across.depth }

  /// The block at a place of the order, cut off at the area's edge.
  subscript(_ index: Int) -> Box {
    let depth = index % across.depth * block.depth
    let width = index / across.depth % across.width * block.width
    let height = index / across.depth / across.width * block.height
    return Box(
      height: height..<max(height, min(area.height, height + block.height)),
      width: width..<max(width, min(area.width, width + block.width)),
      depth: depth..<max(depth, min(area.depth, depth + block.depth)))
  }

  /// A box of elements.
  struct Box {
    let height: Range<Int>
    let width: Range<Int>
    let depth: Range<Int>

    /// The box in the coordinates of a larger map.
    func moved(by offset: BlockShape) -> Box {
      Box(
        height: height.lowerBound + offset.height..<height.upperBound + offset.height,
        width: width.lowerBound + offset.width..<width.upperBound + offset.width,
        depth: depth.lowerBound + offset.depth..<depth.upperBound + offset.depth)
    }

    /// Whether an element is in both.
    func overlaps(_ other: Box) -> Bool {
      height.overlaps(other.height) && width.overlaps(other.width) && depth.overlaps(other.depth)
    }
  }
}
