import TensorCore

/// The operations of U85, and what its registers hold otherwise than those of U55 and U65.
extension KernelResolver {
  /// Completes a convolution or depthwise operation whose geometry is known.
  func convolutionU85(_ geometry: KernelOp) throws(Fault) -> KernelOp {
    var op = geometry
    try accumulators(&op)
    let format = try registers(.weightFormat)
    op.weightLayout?.isFast = format & 1 != 0
    op.weightLayout?.isSparse = format & 0x10 != 0
    if case .depthwise = op.kind {
      try require("weightFormat", format, format & 0x11 == 0, "0 for depthwise convolutions")
    }
    op.weightLayout?.microblockDepth =
      hardware.macs / 8 / max(1, op.microblock.height * op.microblock.width)
    try require(
      "microblock", op.microblock.height * op.microblock.width,
      op.weightLayout.map { $0.microblockDepth % (4 * hardware.cores) == 0 } ?? false,
      "such that each weight decoder has whole groups of 4 channels")
    let region = try registers(.weightRegion) & 7
    let decoders = format & 1 != 0 ? 1 : hardware.cores
    let streams: [(WideRegister, WideRegister)] = [
      (.weightBase, .weightLength), (.weight1Base, .weight1Length),
      (.weight2Base, .weight2Length), (.weight3Base, .weight3Length),
    ]
    for (base, length) in streams.prefix(decoders) {
      let weights = try stream(base, length, region)
      try require("weightBase", weights.base, weights.base % 16 == 0, "a multiple of 16")
      try require("weightLength", weights.length, weights.length % 16 == 0, "a multiple of 16")
      op.weights.append(weights)
    }
    op.output = try outputU85(op.ofm)
    if op.writesOutput {
      let isPerChannel = try registers(.ofmPrecision) & 0x100 == 0
      if isPerChannel || registers.has(.scaleLength) {
        op.scales = [try stream(.scaleBase, .scaleLength, try registers(.scaleRegion) & 7)]
      }
      if isPerChannel { op.output.scale = .perChannel }
    }
    return try finish(op)
  }

  /// NPU_OP_CONV with weights from IFM2: every IFM pixel times every IFM2 pixel.
  func matrixProduct() throws(Fault) -> KernelOp {
    var op = KernelOp(kind: .matrixProduct, ifm: FeatureMap(role: .ifm), ofm: try outputMap())
    try finishOutput(&op)
    op.kernel = try kernel(heightLimit: 64, areaLimit: 4096)
    try require("kernel", op.kernel.height, op.kernel.isPointwise, "1x1 for a matrix product")
    op.ifm = try inputMap(for: op)
    try require("ifmPrecision", op.ifm.elementBytes * 8, op.ifm.elementBytes <= 2, "8 or 16 bits")
    var ifm2 = FeatureMap(role: .ifm2)
    ifm2.width = op.ofm.depth
    ifm2.depth = op.ifm.depth
    try secondMap(&ifm2)
    try require(
      "ifm2Precision", ifm2.elementBytes * 8, ifm2.elementBytes == op.ifm.elementBytes,
      "the IFM width")
    try require("ifm2Precision", 0, ifm2.storage == .memory, "in memory for a matrix product")
    op.ifm2 = ifm2
    try accumulators(&op)
    try require(
      "accFormat input", op.accumulatorInput.rawValue, op.accumulatorInput != .ifm2,
      "not IFM2, which holds the weights")
    op.output = try outputU85(op.ofm)
    return try finish(op)
  }

  /// NPU_OP_POOL.
  func poolingU85(parameter: UInt16) throws(Fault) -> KernelOp {
    guard let mode = PoolingMode(rawValue: Int(parameter)) else {
      throw .illegalValue(register: "pooling mode", value: Int(parameter), legal: "0...7")
    }
    var op = KernelOp(kind: .pooling(mode), ifm: FeatureMap(role: .ifm), ofm: try outputMap())
    try finishOutput(&op)
    op.dividesAverage = mode == .average
    if mode == .none {
      // The declared IFM takes no part.
      op.ifm = op.ofm.dense
      op.ifm.role = .ifm
      op.ifm.storage = .none
      op.ifm.elementBytes = 1
      op.ifm.zeroPoint = 0
    } else {
      op.kernel = try kernel(heightLimit: 65536, areaLimit: 65536)
      if mode == .average {
        try require(
          "kernel", max(op.kernel.height, op.kernel.width),
          max(op.kernel.height, op.kernel.width) <= 8, "at most 8x8 for an average")
      }
      op.ifm = try inputMap(for: op)
      try require("ifmPrecision", 0, op.ifm.storage == .memory, "in memory for pooling")
      if mode == .reduceSum {
        try require("ofmDepthM1", op.ofm.depth - 1, op.ofm.depth == 1, "0 for a channel sum")
      } else {
        try require(
          "ifmDepthM1", op.ifm.depth - 1, op.ifm.depth == op.ofm.depth, "the OFM depth")
      }
    }
    try accumulators(&op)
    try require(
      "accFormat input", op.accumulatorInput.rawValue,
      mode != .none || op.accumulatorInput != .zero, "1 or 2 for pooling mode NONE")
    op.output = try outputU85(op.ofm)
    return try finish(op)
  }

  /// NPU_OP_ELEMENTWISE.
  func elementwiseU85(parameter: UInt16) throws(Fault) -> KernelOp {
    guard let mode = ElementwiseMode(rawValue: Int(parameter)) else {
      throw .illegalValue(
        register: "elementwise mode", value: Int(parameter), legal: "0...11, 16...19, 33...36 or 42"
      )
    }
    var op = KernelOp(
      kind: .elementwise(mode), ifm: FeatureMap(role: .ifm), ofm: try outputMap())
    // No accumulators, but the order of the walk.
    if let format = try? registers(.accFormat) { try setMicroblock(&op, format) }
    try finishOutput(&op)
    op.ifm = try inputMap(for: op)
    let isScalar = try registers(.ifmBroadcast) == 8
    if isScalar || op.ifm.storage == .none {
      op.ifm.storage = .none
      op.scalar = try scalar(op.ifm)
    }
    if !mode.isUnary {
      var map = FeatureMap(role: .ifm2)
      let broadcast = try registers(.ifm2Broadcast, in: 0...8)
      map.height = broadcast & 9 != 0 ? 1 : op.ofm.height
      map.width = broadcast & 10 != 0 ? 1 : op.ofm.width
      map.depth = broadcast & 12 != 0 ? 1 : op.ofm.depth
      try secondMap(&map)
      try require(
        "ifm2Precision", map.elementBytes * 8, map.elementBytes == op.ifm.elementBytes,
        "the IFM width")
      if map.storage == .none || broadcast == 8 {
        try require("ifm2Broadcast", broadcast, op.scalar == nil, "a tensor when IFM is a scalar")
        op.scalar = try scalar(map)
      } else {
        op.ifm2 = map
      }
    } else {
      try require("ifmBroadcast", 8, op.scalar == nil, "a tensor for a unary operation")
    }
    op.output = try outputU85(op.ofm)
    switch mode {
    case .add, .sub, .min, .max, .equal, .notEqual, .greaterOrEqual, .greater, .leakyReLU:
      op.operandA = try operandScale(.ifmScale)
      op.operandB = try operandScale(.ifm2Scale)
    case .abs: op.operandA = try operandScale(.ifmScale)
    default: break
    }
    if mode == .mul, op.ifm.elementBytes == 4, case .global(let scale) = op.output.scale {
      op.output.scale = .shiftOnly(Int(scale.shift))
    }
    return try finish(op)
  }

  /// NPU_OP_RESIZE.
  func resize(parameter: UInt16) throws(Fault) -> KernelOp {
    guard let mode = ResizeMode(rawValue: Int(parameter & 3)) else {
      throw .illegalValue(register: "resize mode", value: Int(parameter), legal: "0...2")
    }
    let y = try axis(.resizeYScaleNM1, .resizeYOffset, .resizeY)
    let x = try axis(.resizeXScaleNM1, .resizeXOffset, .resizeX)
    var op = KernelOp(
      kind: .resize(mode, y, x), ifm: FeatureMap(role: .ifm), ofm: try outputMap())
    if let format = try? registers(.accFormat) { try setMicroblock(&op, format) }
    try finishOutput(&op)
    op.ifm = try inputMap(for: op)
    try require("ifmPrecision", 0, op.ifm.storage == .memory, "in memory for a resize")
    try require("ifmDepthM1", op.ifm.depth - 1, op.ifm.depth == op.ofm.depth, "the OFM depth")
    try require(
      "ifmPrecision", op.ifm.elementBytes * 8, op.ifm.elementBytes <= 4, "8, 16 or 32 bits")
    op.output = try outputU85(op.ofm)
    return try finish(op)
  }

  private func axis(
    _ divisor: Register, _ offset: Register, _ step: WideRegister
  ) throws(Fault) -> ResizeAxis {
    let n = try registers(divisor, in: 0...2047) + 1
    let (parameter, word) = try registers.raw(step)
    let remainder = Int(word & 0x7FF)
    try require("\(step) remainder", remainder, remainder < n, "below the divisor \(n)")
    let field = try registers(offset) & 0xFFF
    let start = field >= 0x800 ? field - 0x1000 : field
    try require("\(offset)", start, (-n..<n).contains(start), "between -\(n) and \(n - 1)")
    return ResizeAxis(divisor: n, step: (parameter & 15) * n + remainder, offset: start)
  }

  // MARK: Tensors

  /// Storage, permutation and place of the OFM.
  func finishOutput(_ op: inout KernelOp) throws(Fault) {
    guard isU85 else { return try placeOutput(&op.ofm) }
    let precision = try registers(.ofmPrecision)
    op.ofm.storage = try storage(precision, .ofm)
    let code = precision >> 11 & 7
    guard let transposition = Transposition(rawValue: code) else {
      throw .illegalValue(register: "OFM transpose", value: code, legal: "0...3, 6 or 7")
    }
    op.transposition = transposition
    op.reversal = Reversal(rawValue: precision >> 9 & 3) ?? .none
    try require(
      "OFM reverse", op.reversal.rawValue,
      op.isStoredInOrder || op.ofm.storage != .chained, "0 for a chained OFM, like transpose")
    let (height, width, depth) = (op.ofm.height, op.ofm.width, op.ofm.depth)
    var stored = op.storedOFM
    try placeOutput(&stored)
    (stored.height, stored.width, stored.depth) = (height, width, depth)
    op.ofm = stored
  }

  /// IFM2 with known extent.
  private func secondMap(_ map: inout FeatureMap) throws(Fault) {
    let precision = try registers(.ifm2Precision)
    try type(&map, precision, widthShift: 2)
    map.storage = try storage(precision, .ifm2)
    map.zeroPoint = try zeroPoint(.ifm2ZeroPoint, map.isSigned)
    guard map.storage != .none else { return }
    map.region = try registers(.ifm2Region) & 7
    guard map.storage == .memory else { return }
    try place(
      &map, tiles: (.ifm2Height0M1, .ifm2Height1M1, .ifm2Width0M1),
      bases: (.ifm2Base0, .ifm2Base1, .ifm2Base2, .ifm2Base3),
      strides: (.ifm2StrideY, .ifm2StrideX, .ifm2StrideC))
  }

  /// Bits 15 and 14 of a precision register.
  func storage(_ precision: Int, _ role: TensorRole) throws(Fault) -> FeatureMap.Storage {
    switch precision >> 14 & 3 {
    case 0: return .memory
    case 1: throw .notImplemented("\(role.rawValue) storage TILE3X1")
    case 2: return .chained
    default: return .none
    }
  }

  /// OP_SCALAR as an operand of the given type, zero point removed.
  private func scalar(_ map: FeatureMap) throws(Fault) -> Int64 {
    let word = try registers.raw(.scalar).word
    let value = map.isSigned ? Int64(Int32(bitPattern: word)) : Int64(word)
    return value - Int64(map.zeroPoint)
  }

  // MARK: Accumulators and output

  /// The microblock an ACC_FORMAT word names.
  private func setMicroblock(_ op: inout KernelOp, _ format: Int) throws(Fault) {
    let sizes = [(1, 1), (1, 2), (1, 4), (2, 2), (2, 4), (4, 4)]
    let microblock = format >> 8 & 7
    try require("accFormat microblock", microblock, microblock < sizes.count, "0...5")
    op.microblock = (sizes[microblock].0, sizes[microblock].1)
  }

  /// ACC_FORMAT: where accumulators come from and go to, and IFM2 as their source.
  private func accumulators(_ op: inout KernelOp) throws(Fault) {
    let format = try registers(.accFormat)
    let source = format >> 4 & 3
    guard let input = AccumulatorInput(rawValue: source) else {
      throw .illegalValue(register: "accFormat input", value: source, legal: "0...2")
    }
    op.accumulatorInput = input
    op.writesOutput = format & 0x40 == 0
    try require("accFormat", format & 3, format & 3 <= 1, "0 (32 bits) or 1 (48 bits)")
    op.hasWideAccumulators = format & 3 == 1
    try setMicroblock(&op, format)
    guard input == .ifm2 else { return }
    if case .matrixProduct = op.kind { return }
    var map = FeatureMap(role: .ifm2)
    map.height = op.ofm.height
    map.width = op.ofm.width
    map.depth = op.ofm.depth
    try secondMap(&map)
    try require(
      "ifm2Precision", map.elementBytes * 8, map.storage == .memory, "in memory for accumulators")
    op.ifm2 = map
  }

  /// The operand scale in IFM_SCALE or IFM2_SCALE.
  private func operandScale(_ register: WideRegister) throws(Fault) -> OperandScale {
    let (parameter, word) = try registers.raw(register)
    return OperandScale(
      scale: FixedScale(multiplier: word & 0x7FFF_FFFF, shift: parameter & 63),
      rounding: parameter & 0x2000 != 0 ? .natural : .doubleSymmetric,
      doubleRoundShift: parameter >> 6 & 31)
  }

  /// OFM_SCALE, activation and clamp. The scale is global when OFM_PRECISION says so.
  private func outputU85(_ ofm: FeatureMap) throws(Fault) -> OutputSettings {
    var settings = OutputSettings()
    let (parameter, word) = try registers.raw(.ofmScale)
    guard let rounding = RoundingMode(rawValue: UInt8(truncatingIfNeeded: parameter >> 13 & 7))
    else {
      throw .illegalValue(
        register: "ofmScale rounding mode", value: parameter >> 13 & 7, legal: "0...5")
    }
    settings.rounding = rounding
    settings.doubleRoundShift = parameter >> 6 & 31
    if try registers(.ofmPrecision) & 0x100 != 0 {
      settings.scale = .global(
        FixedScale(multiplier: word & 0x7FFF_FFFF, shift: parameter & 63))
    }
    let activation = try registers(.activation)
    let function = activation & 31
    // The type of what is clamped: the index of a table, else the OFM.
    var bits = ofm.elementBytes * 8
    settings.tableIndexIsSigned = ofm.isSigned
    var outputs: ClosedRange<Int> = 1...8
    switch function {
    case 0: settings.activation = .none
    case 1, 4:
      settings.activation = .table8
      (bits, outputs) = (8, 1...1)
    case 5:
      settings.activation = .table8To16
      (bits, outputs) = (8, 2...2)
    case 7:
      settings.activation = .table8To32
      (bits, outputs) = (8, 4...4)
    case 8:
      settings.activation = .table16
      (bits, outputs) = (16, 2...2)
    case 9:
      settings.activation = .table16To32
      (bits, outputs) = (16, 4...4)
    case 10, 11:
      settings.activation = function == 10 ? .tanhTable : .sigmoidTable
      (bits, outputs) = (16, 2...2)
    default:
      throw .illegalValue(
        register: "activation", value: function, legal: "0, 1, 4, 5 or 7...11")
    }
    try require(
      "activation", function, outputs.contains(ofm.elementBytes),
      "of an output width of \(ofm.elementBytes * 8) bits")
    if function != 0 { settings.tableIndexIsSigned = function != 1 }
    settings.tableOffset =
      hardware.tableBase + settings.activation.tableBytes * (activation >> 5 & 7)
    let isSigned = settings.tableIndexIsSigned
    if activation & 0x1000 == 0 {
      func limit(_ value: Int) -> Int64 {
        isSigned ? Int64(Int16(truncatingIfNeeded: value)) : Int64(value)
      }
      let low = limit(try registers(.activationMin))
      let high = limit(try registers(.activationMax))
      guard low <= high else {
        throw .illegalValue(
          register: "activationMin", value: Int(low), legal: "at most activationMax (\(high))")
      }
      settings.clamp = low...high
    }
    if bits <= 16 {
      let top = Int64(1) << Int64(isSigned ? bits - 1 : bits)
      let range = (isSigned ? -top : 0)...(top - 1)
      settings.clamp = settings.clamp.map { $0.clamped(to: range) } ?? range
    }
    return settings
  }
}
