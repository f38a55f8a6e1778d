import EthosUISA
import NPUTiming

extension KernelDescription {
  /// What the timing of a job's kernel depends on.
  init(_ kernel: NPUKernel, block: BlockShape, microblock: BlockShape) {
    let kind: Kind
    switch kernel.work {
    case .elementwise(let mode):
      switch mode {
      case .mul: kind = .elementwise(.multiply)
      case .add, .sub: kind = .elementwise(.addOrSubtract)
      default: kind = .elementwise(kernel.second == nil ? .unary : .binary)
      }
    case .rowMaximum: kind = .pooling(reduceSum: false, max: true)
    case .channelSum: kind = .pooling(reduceSum: true, max: false)
    }
    var second: FeatureMapTraffic?
    if case .tensor(let other)? = kernel.second { second = FeatureMapTraffic(other) }
    self.init(
      kind: kind, ifm: FeatureMapTraffic(kernel.ifm), ifm2: second,
      ofm: FeatureMapTraffic(kernel.ofm), block: block,
      microblock: microblock)
    kernelWidth = kernel.operation.kernel.width
    usesTable = kernel.usesTable
  }
}

extension FeatureMapTraffic {
  /// The memory accesses of a job's feature map.
  init(_ map: NPUTensor) {
    self.init(
      height: map.shape.height, width: map.shape.width, depth: map.shape.depth,
      bits: map.element.byteCount * 8, region: map.base.rawValue)
  }
}
