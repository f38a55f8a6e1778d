import TensorCore

/// Runs resolved kernel operations on memory.
struct Executor {
  let hardware: Hardware
  let threads: Int
  let limits: RunLimits

  /// What an operation touched, found while it was checked.
  struct Access {
    var ifm: MappedTensor
    var ifm2: MappedTensor?
    var ofm: MappedTensor
    var weights: [MemorySpan] = []
    var scales: [MemorySpan] = []
  }

  /// Checks sizes and every address of the operation.
  func access(_ op: KernelOp, _ memory: MemoryMap) throws(Fault) -> Access {
    try check("OFM elements", op.ofm, limits.maximumElements)
    try check("IFM elements", op.ifm, limits.maximumElements)
    if case .elementwise = op.kind {
    } else {
      let (height, width) = DenseInput<Int16>.extent(op)
      try check("padded IFM elements", [height, width, op.ifm.depth], limits.maximumElements)
      let window = op.kernel.height * op.kernel.width
      var products = [op.ofm.height, op.ofm.width, op.ofm.depth, window]
      switch op.kind {
      case .convolution: products.append(op.ifm.depth)
      case .pooling(.reduceSum): products.append(op.ifm.depth)
      default: break
      }
      try check("multiply-accumulates", products, limits.maximumOperations)
      if case .convolution = op.kind {
        try check(
          "weights", [op.ofm.depth, window, op.ifm.depth], limits.maximumElements)
      }
    }
    var access = Access(
      ifm: try MappedTensor(op.ifm, memory: memory, writing: false),
      ofm: try MappedTensor(op.ofm, memory: memory, writing: true))
    if let ifm2 = op.ifm2 {
      access.ifm2 = try MappedTensor(ifm2, memory: memory, writing: false)
    }
    for stream in op.weights {
      access.weights.append(try span(stream, .weights, memory))
    }
    for stream in op.scales {
      access.scales.append(try span(stream, .scales, memory))
    }
    return access
  }

  private func span(
    _ stream: StreamRange, _ role: TensorRole, _ memory: MemoryMap
  ) throws(Fault) -> MemorySpan {
    try memory.span(
      region: stream.region, lower: stream.base, upper: stream.base + stream.length, role: role)
  }

  private func check(_ what: String, _ map: FeatureMap, _ limit: Int) throws(Fault) {
    try check(what, [map.height, map.width, map.depth], limit)
  }

  private func check(_ what: String, _ factors: [Int], _ limit: Int) throws(Fault) {
    var product = 1
    for factor in factors {
      let (value, overflow) = product.multipliedReportingOverflow(by: factor)
      guard !overflow, value <= limit else {
        throw .limitExceeded(what: what, value: overflow ? .max : value, limit: limit)
      }
      product = value
    }
  }

  /// Executes an operation whose addresses were checked.
  func run(
    _ op: KernelOp, _ access: Access, cache: inout WeightCache, internalMemory: [UInt8]
  ) throws(Fault) {
    switch op.kind {
    case .convolution, .depthwise:
      try runWeighted(op, access, cache: &cache, internalMemory: internalMemory)
    case .pooling(let mode):
      let stage = try OutputStage(
        op.output, zeroPoint: op.ofm.zeroPoint, internalMemory: internalMemory)
      if op.ifm.fitsInt16 {
        pool(op, mode, access, stage, Int16.self)
      } else {
        pool(op, mode, access, stage, Int64.self)
      }
    case .elementwise(let mode):
      try runElementwise(op, mode, access, internalMemory: internalMemory)
    }
  }

  private func runWeighted(
    _ op: KernelOp, _ access: Access, cache: inout WeightCache, internalMemory: [UInt8]
  ) throws(Fault) {
    guard let layout = op.weightLayout else { return }
    let hardware = hardware
    let weights = try cache.weights(access.weights, layout: layout) {
      (streams, layout) throws(Fault) in
      try WeightReader.read(streams, layout: layout, hardware: hardware)
    }
    let records = try ScaleRecords(access.scales, channels: op.ofm.depth)
    let stage = try OutputStage(
      op.output, zeroPoint: op.ofm.zeroPoint, channels: records.scales,
      internalMemory: internalMemory)
    switch (op.ifm.fitsInt16, weights.bytes, weights.words) {
    case (true, let bytes?, _):
      convolve(op, access, stage, records.bias, bytes, Int16.self)
    case (false, let bytes?, _):
      convolve(op, access, stage, records.bias, bytes, Int64.self)
    case (true, nil, let words?):
      convolve(op, access, stage, records.bias, words, Int16.self)
    case (false, nil, let words?):
      convolve(op, access, stage, records.bias, words, Int64.self)
    default: break
    }
  }

  @inline(__always)
  private func convolve<Lane: InputLane, Weight: FixedWidthInteger & SignedInteger>(
    _ op: KernelOp, _ access: Access, _ stage: OutputStage, _ bias: [Int64],
    _ weights: UnsafeMutablePointer<Weight>, _ lane: Lane.Type
  ) {
    let input = DenseInput<Lane>(op, access.ifm)
    defer { input.release() }
    let block = op.ifm.elementBytes == 1 ? DotProduct.block8 : DotProduct.block16
    bias.withUnsafeBufferPointer { bias in
      guard let bias = bias.baseAddress else { return }
      if case .depthwise = op.kind {
        Depthwise(
          op: op, input: input, weights: weights, bias: bias, stage: stage, ofm: access.ofm,
          block: block
        ).run(threads: threads)
      } else {
        Convolution(
          op: op, input: input, weights: weights, bias: bias, stage: stage, ofm: access.ofm,
          block: block
        ).run(threads: threads)
      }
    }
  }

  private func pool<Lane: InputLane>(
    _ op: KernelOp, _ mode: PoolingMode, _ access: Access, _ stage: OutputStage,
    _ lane: Lane.Type
  ) {
    let input = DenseInput<Lane>(op, access.ifm)
    defer { input.release() }
    Pooling(op: op, mode: mode, input: input, stage: stage, ofm: access.ofm)
      .run(threads: threads)
  }

  private func runElementwise(
    _ op: KernelOp, _ mode: ElementwiseMode, _ access: Access, internalMemory: [UInt8]
  ) throws(Fault) {
    var settings = op.output
    var leaky: PreparedScale?
    switch (mode, settings.scale) {
    case (.leakyReLU, .global(let scale)):
      leaky = PreparedScale(
        scale, rounding: settings.rounding, doubleRoundShift: settings.doubleRoundShift)
      settings.scale = .none
    default: break
    }
    let stage = try OutputStage(
      settings, zeroPoint: op.ofm.zeroPoint, internalMemory: internalMemory)
    let first = Elementwise.Operand.tensor(access.ifm)
    let second: Elementwise.Operand =
      if let ifm2 = access.ifm2 { .tensor(ifm2) } else { .constant(op.scalar ?? 0) }
    Elementwise(
      op: op, mode: mode, a: op.swapsOperands ? second : first,
      b: op.swapsOperands ? first : second, stage: stage, ofm: access.ofm, leakyScale: leaky
    ).run(threads: threads)
  }
}

extension FeatureMap {
  /// Whether elements minus the zero point have 9 bits (8-bit elements) or 16 bits, as the fast sums of
  /// ``DotProduct`` assume.
  var fitsInt16: Bool {
    switch (elementBytes, isSigned) {
    case (1, true): (-128...127).contains(zeroPoint)
    case (1, false): (0...255).contains(zeroPoint)
    case (2, true): zeroPoint == 0
    default: false
    }
  }
}
