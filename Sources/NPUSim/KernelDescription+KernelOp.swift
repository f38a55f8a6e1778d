import NPUTiming

extension KernelDescription {
  /// What the timing of a resolved operation depends on.
  init(_ op: KernelOp) {
    let kind: Kind
    switch op.kind {
    case .convolution, .matrixProduct:
      kind = .convolution(partKernelFirst: op.weightLayout?.isPartKernelFirst ?? false)
    case .depthwise: kind = .depthwise
    case .resize: kind = .pooling(reduceSum: false, max: false)
    case .pooling(let mode): kind = .pooling(reduceSum: mode == .reduceSum, max: mode == .max)
    case .elementwise(let mode):
      kind = .elementwise(
        binary: !mode.isUnary, multiply: mode == .mul, addOrSubtract: mode == .add || mode == .sub)
    }
    var usesTable = true
    if case .none = op.output.activation { usesTable = false }
    // Blocks of elementwise operations may never have been written: they then count as one.
    let block = (
      op.block.height > 0 ? op.block.height : op.ofm.height,
      op.block.width > 0 ? op.block.width : op.ofm.width,
      op.block.depth > 0 ? op.block.depth : op.ofm.depth
    )
    let streams = op.weights + op.scales
    self.init(
      kind: kind, ofm: (op.ofm.height, op.ofm.width, op.ofm.depth), block: block,
      ifmDepth: op.ifm.depth, ifmBits: op.ifm.elementBytes * 8, ofmBits: op.ofm.elementBytes * 8,
      kernelHeight: op.kernel.height, kernelWidth: op.kernel.width, strideY: op.kernel.strideY,
      strideX: op.kernel.strideX, usesTable: usesTable,
      streamBytes: streams.reduce(0) { $0 + $1.length },
      ifm2Bytes: op.ifm2.map { $0.elements * $0.elementBytes } ?? 0, ifmRegion: op.ifm.region,
      ofmRegion: op.ofm.region, streamRegion: op.weights.first?.region ?? op.ifm.region)
  }
}
