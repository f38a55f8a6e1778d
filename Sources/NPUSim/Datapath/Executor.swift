import TensorCore

/// Runs resolved kernel operations on memory.
struct Executor {
  let hardware: Hardware
  let threads: Int
  let limits: RunLimits

  /// What an operation touched, found while it was checked.
  struct Access {
    /// `nil` when the operand is a scalar or takes no part.
    var ifm: MappedTensor?
    var ifm2: MappedTensor?
    /// As stored; `nil` when the OFM is not written.
    var ofm: MappedTensor?
    var weights: [MemorySpan] = []
    var scales: [MemorySpan] = []
  }

  /// Checks sizes and every address of the operation.
  func access(
    _ op: KernelOp, _ memory: MemoryMap, _ local: inout LocalTensors
  ) throws(Fault) -> Access {
    try check("OFM elements", op.ofm, limits.maximumElements)
    try check("IFM elements", op.ifm, limits.maximumElements)
    switch op.kind {
    case .elementwise, .resize: break
    default:
      let (height, width) = DenseInput<Int16>.extent(op)
      try check("padded IFM elements", [height, width, op.ifm.depth], limits.maximumElements)
      let window = op.kernel.height * op.kernel.width
      var products = [op.ofm.height, op.ofm.width, op.ofm.depth, window]
      switch op.kind {
      case .convolution, .matrixProduct: products.append(op.ifm.depth)
      case .pooling(.reduceSum): products.append(op.ifm.depth)
      default: break
      }
      try check("multiply-accumulates", products, limits.maximumOperations)
      switch op.kind {
      case .convolution, .matrixProduct:
        try check(
          "weights", [op.ofm.depth, window, op.ifm.depth], limits.maximumElements)
      default: break
      }
    }
    var access = Access()
    local.beginOperation(isChained: op.continuesChain)
    access.ifm = try input(op.ifm, memory, local)
    if let ifm2 = op.ifm2 { access.ifm2 = try input(ifm2, memory, local) }
    if op.writesOutput {
      switch op.ofm.storage {
      case .memory:
        access.ofm = try MappedTensor(op.storedOFM, memory: memory, writing: true)
      case .chained: access.ofm = local.produce(op.ofm)
      case .none: break
      }
    }
    if op.accumulatorInput == .kept || !op.writesOutput {
      try local.prepareAccumulators(op)
    }
    for stream in op.weights {
      access.weights.append(try span(stream, .weights, memory))
    }
    for stream in op.scales {
      access.scales.append(try span(stream, .scales, memory))
    }
    return access
  }

  private func input(
    _ map: FeatureMap, _ memory: MemoryMap, _ local: LocalTensors
  ) throws(Fault) -> MappedTensor? {
    switch map.storage {
    case .memory: try MappedTensor(map, memory: memory, writing: false)
    case .chained: try local.consume(map)
    case .none: nil
    }
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
    _ op: KernelOp, _ access: Access, _ local: LocalTensors, cache: inout WeightCache,
    internalMemory: [UInt8]
  ) throws(Fault) {
    switch op.kind {
    case .convolution, .depthwise:
      try runWeighted(op, access, local, cache: &cache, internalMemory: internalMemory)
    case .matrixProduct:
      let sink = try sink(op, access, local, internalMemory: internalMemory)
      multiply(op, access, sink)
    case .pooling(.none):
      let sink = try sink(op, access, local, internalMemory: internalMemory)
      passAccumulators(op, sink)
    case .pooling(let mode):
      let sink = try sink(op, access, local, internalMemory: internalMemory)
      if op.ifm.fitsInt16 {
        pool(op, mode, access, sink, Int16.self)
      } else {
        pool(op, mode, access, sink, Int64.self)
      }
    case .elementwise(let mode):
      try runElementwise(op, mode, access, internalMemory: internalMemory)
    case .resize(let mode, let y, let x):
      guard let ifm = access.ifm else { return }
      let sink = try sink(op, access, local, internalMemory: internalMemory)
      Resize(op: op, mode: mode, y: y, x: x, ifm: ifm, sink: sink).run(threads: threads)
    }
  }

  /// The way out of the accumulators.
  private func sink(
    _ op: KernelOp, _ access: Access, _ local: LocalTensors, settings: OutputSettings? = nil,
    channels: [FixedScale] = [], bias: [Int64] = [], internalMemory: [UInt8]
  ) throws(Fault) -> OutputSink {
    let stage = try OutputStage(
      settings ?? op.output, zeroPoint: op.ofm.zeroPoint, channels: channels,
      internalMemory: internalMemory)
    var sink = OutputSink(op: op, stage: stage, ofm: access.ofm)
    if op.accumulatorInput == .ifm2 { sink.initial = access.ifm2 }
    if op.usesAccumulators {
      sink.accumulators = local.accumulators
      sink.bias = bias
    }
    return sink
  }

  private func runWeighted(
    _ op: KernelOp, _ access: Access, _ local: LocalTensors, cache: inout WeightCache,
    internalMemory: [UInt8]
  ) throws(Fault) {
    guard let layout = op.weightLayout, let ifm = access.ifm else { return }
    let hardware = hardware
    let weights = try cache.weights(access.weights, layout: layout) {
      (streams, layout) throws(Fault) in
      try WeightReader.read(streams, layout: layout, hardware: hardware)
    }
    let channels = op.ofm.depth
    var records =
      hardware.product == .u85
      ? try ScaleRecords(
        u85: access.scales.first, channels: channels, isWide: op.hasWideAccumulators)
      : try ScaleRecords(access.scales, channels: channels)
    let sink = try sink(
      op, access, local, channels: records.scales, bias: records.bias,
      internalMemory: internalMemory)
    if op.usesAccumulators { records.bias = [Int64](repeating: 0, count: channels) }
    switch (op.ifm.fitsInt16, weights.bytes, weights.words) {
    case (true, let bytes?, _):
      convolve(op, ifm, sink, records.bias, bytes, Int16.self)
    case (false, let bytes?, _):
      convolve(op, ifm, sink, records.bias, bytes, Int64.self)
    case (true, nil, let words?):
      convolve(op, ifm, sink, records.bias, words, Int16.self)
    case (false, nil, let words?):
      convolve(op, ifm, sink, records.bias, words, Int64.self)
    default: break
    }
  }

  @inline(__always)
  private func convolve<Lane: InputLane, Weight: FixedWidthInteger & SignedInteger>(
    _ op: KernelOp, _ ifm: MappedTensor, _ sink: OutputSink, _ bias: [Int64],
    _ weights: UnsafeMutablePointer<Weight>, _ lane: Lane.Type
  ) {
    let input = DenseInput<Lane>(op, ifm)
    defer { input.release() }
    let block = op.ifm.elementBytes == 1 ? DotProduct.block8 : DotProduct.block16
    bias.withUnsafeBufferPointer { bias in
      guard let bias = bias.baseAddress else { return }
      if case .depthwise = op.kind {
        Depthwise(op: op, input: input, weights: weights, bias: bias, sink: sink, block: block)
          .run(threads: threads)
      } else {
        Convolution(op: op, input: input, weights: weights, bias: bias, sink: sink, block: block)
          .run(threads: threads)
      }
    }
  }

  /// A matrix product: pixel `o` of IFM2 holds the weights of OFM channel `o`.
  private func multiply(_ op: KernelOp, _ access: Access, _ sink: OutputSink) {
    guard let ifm = access.ifm, let ifm2 = access.ifm2 else { return }
    func run<Lane: InputLane, Weight: FixedWidthInteger & SignedInteger>(
      _ lane: Lane.Type, _ weight: Weight.Type
    ) {
      let count = op.ofm.depth * op.ifm.depth
      let weights = UnsafeMutablePointer<Weight>.allocate(capacity: max(1, count))
      defer { weights.deallocate() }
      ifm2.read(y: 0, x: 0..<op.ofm.depth, c: 0..<op.ifm.depth, into: weights)
      convolve(op, ifm, sink, [Int64](repeating: 0, count: op.ofm.depth), weights, lane)
    }
    // Products of two 16-bit values need wide sums.
    if op.ifm.elementBytes == 1, op.ifm.fitsInt16, ifm2.map.fitsInt16 {
      run(Int16.self, Int16.self)
    } else {
      run(Int64.self, Int32.self)
    }
  }

  /// POOL NONE: the accumulators as they are.
  private func passAccumulators(_ op: KernelOp, _ sink: OutputSink) {
    let (width, depth) = (op.ofm.width, op.ofm.depth)
    Parallel.forEachSlice(of: op.ofm.height, cost: op.ofm.elements, threads: threads) { rows in
      let chunk = max(1, min(width, 4096 / depth))
      withScratch(chunk * depth, of: Int64.self) { values in
        for y in rows {
          for x in stride(from: 0, to: width, by: chunk) {
            let columns = x..<min(width, x + chunk)
            values.update(repeating: 0, count: columns.count * depth)
            sink.emit(values, y: y, x: columns, c: 0..<depth)
          }
        }
      }
    }
  }

  private func pool<Lane: InputLane>(
    _ op: KernelOp, _ mode: PoolingMode, _ access: Access, _ sink: OutputSink,
    _ lane: Lane.Type
  ) {
    guard let ifm = access.ifm else { return }
    let input = DenseInput<Lane>(op, ifm)
    defer { input.release() }
    Pooling(op: op, mode: mode, input: input, sink: sink).run(threads: threads)
  }

  private func runElementwise(
    _ op: KernelOp, _ mode: ElementwiseMode, _ access: Access, internalMemory: [UInt8]
  ) throws(Fault) {
    var settings = op.output
    var leaky: (positive: PreparedScale, negative: PreparedScale)?
    if mode == .leakyReLU {
      if hardware.product == .u85 {
        leaky = (PreparedScale(op.operandA), PreparedScale(op.operandB))
      } else if case .global(let scale) = settings.scale {
        let negative = PreparedScale(
          scale, rounding: settings.rounding, doubleRoundShift: settings.doubleRoundShift)
        leaky = (PreparedScale(OperandScale()), negative)
        settings.scale = .none
      }
    }
    let stage = try OutputStage(
      settings, zeroPoint: op.ofm.zeroPoint, internalMemory: internalMemory)
    let constant = Elementwise.Operand.constant(op.scalar ?? 0)
    let first = access.ifm.map { Elementwise.Operand.tensor($0) } ?? constant
    let second = access.ifm2.map { Elementwise.Operand.tensor($0) } ?? constant
    Elementwise(
      op: op, mode: mode, a: op.swapsOperands ? second : first,
      b: op.swapsOperands ? first : second,
      sink: OutputSink(op: op, stage: stage, ofm: access.ofm), leakyScales: leaky
    ).run(threads: threads)
  }
}

extension KernelOp {
  /// Whether it takes accumulators from the operation before or leaves them to the next.
  var usesAccumulators: Bool { accumulatorInput == .kept || !writesOutput }
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
