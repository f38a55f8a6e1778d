import EthosUISA
import NPUTiming

extension KernelDescription {
  /// What the timing of a job's kernel depends on.
  init(_ kernel: NPUKernel, block: BlockShape) {
    let kind: Kind
    switch kernel.work {
    case .elementwise(let mode):
      kind = .elementwise(
        binary: kernel.second != nil, multiply: mode == .mul,
        addOrSubtract: mode == .add || mode == .sub)
    case .rowMaximum: kind = .pooling(reduceSum: false, max: true)
    case .rowSum: kind = .pooling(reduceSum: false, max: false)
    case .channelSum: kind = .pooling(reduceSum: true, max: false)
    }
    let operation = kernel.operation
    var secondBytes = 0
    if case .tensor(let other)? = kernel.second {
      secondBytes = other.shape.elements * other.element.byteCount
    }
    self.init(
      kind: kind, ofm: (kernel.ofm.shape.height, kernel.ofm.shape.width, kernel.ofm.shape.depth),
      block: (block.height, block.width, block.depth), ifmDepth: kernel.ifm.shape.depth,
      ifmBits: operation.ifmBits, ofmBits: operation.ofmBits,
      kernelHeight: operation.kernel.height, kernelWidth: operation.kernel.width, strideY: 1,
      strideX: 1, usesTable: kernel.usesTable, streamBytes: 0, ifm2Bytes: secondBytes,
      ifmRegion: kernel.ifm.base.rawValue, ofmRegion: kernel.ofm.base.rawValue,
      streamRegion: kernel.ifm.base.rawValue)
  }
}
