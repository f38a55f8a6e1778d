import EthosUISA
import NPUTiming

extension KernelDescription {
  /// What the timing of a resolved operation depends on.
  init(_ op: KernelOp, registers: RegisterFile, hardware: Hardware) {
    self.init(
      kind: Self.kind(op), ifm: FeatureMapTraffic(op.ifm),
      ifm2: op.kind.isMatrixProduct ? nil : op.ifm2.map { FeatureMapTraffic($0) },
      ofm: FeatureMapTraffic(op.storedOFM), block: Self.block(op),
      microblock: Self.microblock(op, hardware))
    if !op.writesOutput { ofm.region = nil }
    if !op.kind.isElementwise {
      kernelHeight = op.kernel.height
      kernelWidth = op.kernel.width
      strideY = op.kernel.strideY
      strideX = op.kernel.strideX
      dilationY = op.kernel.dilationY
      dilationX = op.kernel.dilationX
      padTop = op.kernel.padTop
      padLeft = op.kernel.padLeft
      isUpscaled = op.kernel.upscale != .none
    }
    if case .none = op.output.activation {} else { usesTable = true }
    reordersOutput = !op.isStoredInOrder
    // Wide accumulators: 16-bit inputs that are scaled and not pooled (U55, U65).
    switch op.kind {
    case .pooling, .elementwise, .resize: usesWideAccumulators = false
    default:
      usesWideAccumulators = op.hasWideAccumulators || op.ifm.elementBytes == 2
    }
    if op.kind.isMatrixProduct, let second = op.ifm2 {
      // The second operand takes the way of weights, undecoded.
      weightBytes = second.elements * second.elementBytes
      weightRegion = second.region
      isFastFormat = true
    } else {
      weightBytes = op.weights.reduce(0) { $0 + $1.length }
      weightRegion = op.weights.first?.region ?? 0
      isFastFormat = op.weightLayout?.isFast ?? false
    }
    scaleBytes = op.scales.reduce(0) { $0 + $1.length }
    scaleRegion = op.scales.first?.region ?? 0
    isSparse = op.weightLayout?.isSparse ?? false
    blockDependency = op.blockDependency
    if hardware.product != .u85 {
      let starts: [Register] = [.ifmIBEnd, .abStart]
      bufferLayout = starts.reduce(0) { $0 << 8 | ((try? registers($1)) ?? 0) }
    }
  }

  private static func kind(_ op: KernelOp) -> Kind {
    switch op.kind {
    case .convolution, .matrixProduct:
      .convolution(partKernelFirst: op.weightLayout?.isPartKernelFirst ?? false)
    case .depthwise: .depthwise
    case .resize: .resize
    case .pooling(let mode): .pooling(reduceSum: mode == .reduceSum, max: mode == .max)
    case .elementwise(let mode):
      switch mode {
      case .mul: .elementwise(.multiply)
      case .add, .sub: .elementwise(.addOrSubtract)
      case .div: .elementwise(.divide)
      default: .elementwise(mode.isUnary ? .unary : .binary)
      }
    }
  }

  /// Blocks may never have been written: they then count as one.
  private static func block(_ op: KernelOp) -> BlockShape {
    BlockShape(
      op.block.height > 0 ? op.block.height : op.ofm.height,
      op.block.width > 0 ? op.block.width : op.ofm.width,
      op.block.depth > 0 ? op.block.depth : op.ofm.depth)
  }

  private static func microblock(_ op: KernelOp, _ hardware: Hardware) -> BlockShape {
    switch (hardware.product, hardware.macs) {
    case (.u85, _):
      let height = max(op.microblock.height, 1)
      let width = max(op.microblock.width, 1)
      return BlockShape(height, width, max(hardware.macs / 8 / (height * width), 1))
    case (_, 32): return BlockShape(1, 1, 4)
    case (_, 64): return BlockShape(1, 1, 8)
    case (_, 128): return BlockShape(1, 2, 8)
    default: return BlockShape(2, 2, 8)
    }
  }
}

extension FeatureMapTraffic {
  /// The memory accesses of a feature map.
  init(_ map: FeatureMap) {
    self.init(
      height: map.height, width: map.width, depth: map.depth, bits: map.elementBytes * 8,
      isBricked: map.isBricked, region: map.storage == .memory ? map.region : nil,
      isChained: map.storage == .chained)
  }
}
