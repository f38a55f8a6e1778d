extension KernelOperation {
  /// The operation that `command` starts with `registers` as they are; nil when it is no kernel
  /// operation or a register it needs was never written.
  public init?(_ command: Command, registers: RegisterFile) {
    guard let kind = Self.kind(of: command, registers.product),
      let ofm = registers.ofmShape,
      let ifmBits = registers.elementBits(.setIFMPrecision),
      let ofmBits = registers.elementBits(.setOFMPrecision)
    else { return nil }
    self.init(kind, ifm: ofm, ofm: ofm)
    self.ifmBits = ifmBits
    self.ofmBits = ofmBits
    switch registers.value(.setIFMUpscale, .mode, as: ISA.IFMUpscaleMode.self) {
    case .nearest: upscaling = .nearest
    case .zeros: upscaling = .zeros
    default: upscaling = .none
    }
    if kind == .elementwise {
      setOperands(command, registers)
    } else {
      guard let height = registers.size(.setKernelHeightM1, .heightM1),
        let width = registers.size(.setKernelWidthM1, .widthM1),
        let depth = registers.size(.setIFMDepthM1, .depthM1)
      else { return nil }
      kernel = (height, width)
      if kind == .resize {
        // The kernel registers hold the IFM size.
        ifm = BlockShape(height, width, depth)
        kernel = (1, 1)
        setResize(registers)
      } else {
        setStrides(registers)
        ifm = inputShape(registers, depth: depth)
      }
    }
    switch registers.value(.setAccFormat, .accFormat, as: ISA.AccFormat.self) {
    case .i40: accumulatorBits = 40
    case .i48: accumulatorBits = 48
    default: accumulatorBits = 32
    }
    let function = registers.value(.setActivation, .activationFunction) ?? 0
    usesTable = registers.product == .u85 ? function != 0 : function >= 16
    isSparse =
      registers.value(.setWeightFormat, .weightSparsity, as: ISA.WeightSparsity.self)
      == .sparse24
  }

  private static func kind(of command: Command, _ product: Product) -> Kind? {
    switch command.opcode {
    case .opConv:
      return command.value(.weightsIFM2, on: product) == 1 ? .matrixProduct : .convolution
    case .opDepthwise: return .depthwise
    case .opElementwise: return .elementwise
    case .opResize: return .resize
    case .opPool:
      switch command.value(.poolingMode, as: ISA.PoolingMode.self, on: product) {
      case .reduceSum: return .reduceSum
      case .argmaxX, .argmaxY: return .argMax
      default: return .pooling
      }
    default: return nil
    }
  }

  private mutating func setStrides(_ registers: RegisterFile) {
    func bit(_ field: Field) -> Int { registers.value(.setKernelStride, field) ?? 0 }
    stride = (
      (bit(.strideYLsb) | bit(.strideYMsb) << 1) + 1, (bit(.strideXLsb) | bit(.strideXMsb) << 1) + 1
    )
    dilation = (bit(.dilationY) + 1, bit(.dilationX) + 1)
    partKernelFirst = kind == .convolution && bit(.weightOrder) == 1
  }

  /// Rows and columns follow from the OFM, the kernel and the padding.
  private func inputShape(_ registers: RegisterFile, depth: Int) -> BlockShape {
    func pad(_ a: Opcode, _ b: Opcode) -> Int {
      (registers.value(a, .pad) ?? 0) + (registers.value(b, .pad) ?? 0)
    }
    func stored(_ size: Int) -> Int { max(1, upscaling == .none ? size : (size + 1) / 2) }
    return BlockShape(
      stored((ofm.height - 1) * stride.y + kernel.height - pad(.setIFMPadTop, .setIFMPadBottom)),
      stored((ofm.width - 1) * stride.x + kernel.width - pad(.setIFMPadLeft, .setIFMPadRight)),
      depth)
  }

  private mutating func setOperands(_ command: Command, _ registers: RegisterFile) {
    let mode = command.value(.elementwiseMode, as: ISA.ElementwiseMode.self, on: registers.product)
    let isUnary = mode == .lrelu || mode == .abs || mode == .clz || mode == .not
    if registers.product == .u85 {
      for register in [Opcode.setIFMBroadcast, .setIFM2Broadcast] {
        if register == .setIFM2Broadcast, isUnary { continue }
        let code = registers.value(register, .broadcastMode) ?? 0
        guard code & 8 == 0 else { continue }
        broadcast.height = broadcast.height || code & 1 != 0
        broadcast.width = broadcast.width || code & 2 != 0
        broadcast.depth = broadcast.depth || code & 4 != 0
        if register == .setIFM2Broadcast { hasSecondTensor = true }
      }
    } else if !isUnary {
      func bit(_ field: Field) -> Bool { registers.value(.setIFM2Broadcast, field) == 1 }
      broadcast.height = bit(.broadcastH)
      broadcast.width = bit(.broadcastW)
      broadcast.depth = bit(.broadcastC)
      hasSecondTensor = !bit(.broadcastConstant)
    }
  }

  private mutating func setResize(_ registers: RegisterFile) {
    guard let n = registers.size(.setResizeXScaleNM1, .resizeXScaleNM1),
      let whole = registers.value(.setResizeX, .oneStepInt),
      let part = registers.value(.setResizeX, .oneStepMod)
    else { return }
    resize = (n, whole * n + part)
  }
}

extension RegisterFile {
  /// OFM height, width and depth; nil when one was never written.
  public var ofmShape: BlockShape? {
    guard let height = size(.setOFMHeightM1, .heightM1), let width = size(.setOFMWidthM1, .widthM1),
      let depth = size(.setOFMDepthM1, .depthM1)
    else { return nil }
    return BlockShape(height, width, depth)
  }

  /// The OFM block; nil when a register was never written.
  public var ofmBlock: BlockShape? {
    guard let height = size(.setOFMBlkHeightM1, .heightM1),
      let width = size(.setOFMBlkWidthM1, .widthM1), let depth = size(.setOFMBlkDepthM1, .depthM1)
    else { return nil }
    return BlockShape(height, width, depth)
  }

  /// Bits of an element of the map whose precision register is given.
  public func elementBits(_ precision: Opcode) -> Int? {
    value(precision, .activationPrecision).map { 8 << $0 }
  }
}
