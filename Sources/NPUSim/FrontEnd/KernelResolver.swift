import TensorCore

/// Turns the register state into a kernel operation, checking each register it uses.
///
/// What U55 and U65 have in common with U85 is here, and their operations; those of U85 are in extensions.
struct KernelResolver {
  let registers: RegisterFile
  let hardware: Hardware

  /// NPU_OP_CONV, NPU_OP_DEPTHWISE.
  func convolution(depthwise: Bool, parameter: UInt16) throws(Fault) -> KernelOp {
    if isU85, !depthwise, parameter & 1 == 1 { return try matrixProduct() }
    var op = KernelOp(
      kind: depthwise ? .depthwise : .convolution, ifm: FeatureMap(role: .ifm),
      ofm: try outputMap())
    try finishOutput(&op)
    op.kernel = try kernel(heightLimit: 64, areaLimit: 4096)
    op.ifm = try inputMap(for: op)
    try require("ifmPrecision", op.ifm.elementBytes * 8, op.ifm.elementBytes <= 2, "8 or 16 bits")
    if depthwise {
      try require(
        "ifmDepthM1", op.ifm.depth - 1, op.ifm.depth == op.ofm.depth, "the OFM depth")
    }
    let order = try registers(.kernelStride)
    op.weightLayout = WeightLayout(
      isDepthwise: depthwise, isPartKernelFirst: !depthwise && order & 4 != 0,
      ifmBits: op.ifm.elementBytes * 8, ofmDepth: op.ofm.depth, ifmDepth: op.ifm.depth,
      kernelHeight: op.kernel.height, kernelWidth: op.kernel.width, strideY: op.kernel.strideY,
      strideX: op.kernel.strideX, dilationY: op.kernel.dilationY,
      dilationX: op.kernel.dilationX,
      blockDepth: try registers(.ofmBlockDepthM1, in: 0...(isU85 ? 1023 : 127)) + 1,
      microblockDepth: 0, isFast: false, isSparse: false)
    if isU85 { return try convolutionU85(op) }
    let isDual = try isDualCore()
    let region = try registers(.weightRegion) & 7
    op.weights = [try stream(.weightBase, .weightLength, region)]
    if isDual { op.weights.append(try stream(.weight1Base, .weight1Length, region)) }
    for weights in op.weights {
      try require("weightBase", weights.base, weights.base % 16 == 0, "a multiple of 16")
      try require("weightLength", weights.length, weights.length % 16 == 0, "a multiple of 16")
    }
    let precision = try registers(.ofmPrecision)
    let isPerChannel = precision & 0x100 == 0
    if isPerChannel || registers.has(.scaleLength) {
      let scaleRegion = try registers(.scaleRegion) & 7
      op.scales = [try stream(.scaleBase, .scaleLength, scaleRegion)]
      if isDual { op.scales.append(try stream(.scale1Base, .scale1Length, scaleRegion)) }
    }
    op.output = try output(op.ofm)
    op.output.scale = isPerChannel ? .perChannel : .global(try globalScale())
    return try finish(op)
  }

  /// NPU_OP_POOL.
  func pooling(parameter: UInt16) throws(Fault) -> KernelOp {
    if isU85 { return try poolingU85(parameter: parameter) }
    guard let mode = PoolingMode(rawValue: Int(parameter)),
      mode == .max || mode == .average || mode == .reduceSum
    else {
      throw .illegalValue(register: "pooling mode", value: Int(parameter), legal: "0...2")
    }
    var op = KernelOp(
      kind: .pooling(mode), ifm: FeatureMap(role: .ifm), ofm: try outputMap())
    try finishOutput(&op)
    op.kernel = try kernel(heightLimit: 256, areaLimit: 65536)
    if mode == .average, op.kernel.isPadded {
      try require(
        "kernel", max(op.kernel.height, op.kernel.width),
        max(op.kernel.height, op.kernel.width) <= 8, "at most 8x8 for a padded average")
    }
    op.ifm = try inputMap(for: op)
    if mode == .reduceSum {
      try require("ofmDepthM1", op.ofm.depth - 1, op.ofm.depth == 1, "0 for a channel sum")
    } else {
      try require(
        "ifmDepthM1", op.ifm.depth - 1, op.ifm.depth == op.ofm.depth, "the OFM depth")
      try require(
        "ifmPrecision", op.ifm.elementBytes * 8, op.ifm.elementBytes <= 2, "8 or 16 bits")
    }
    // U55 and U65 leave the division to OFM_SCALE when nothing is padded.
    op.dividesAverage = op.kernel.isPadded
    op.output = try output(op.ofm)
    // Pooling has no scale stream; without the global scale nothing is scaled.
    op.output.scale = try registers(.ofmPrecision) & 0x100 != 0 ? .global(try globalScale()) : .none
    return try finish(op)
  }

  /// NPU_OP_ELEMENTWISE.
  func elementwise(parameter: UInt16) throws(Fault) -> KernelOp {
    if isU85 { return try elementwiseU85(parameter: parameter) }
    guard parameter <= 9, let mode = ElementwiseMode(rawValue: Int(parameter)) else {
      throw .illegalValue(register: "elementwise mode", value: Int(parameter), legal: "0...9")
    }
    var op = KernelOp(
      kind: .elementwise(mode), ifm: FeatureMap(role: .ifm), ofm: try outputMap())
    try finishOutput(&op)
    op.ifm = try inputMap(for: op)
    try require(
      "ifmDepthM1", op.ifm.depth - 1, op.ifm.depth == op.ofm.depth, "the OFM depth")
    if !mode.isUnary { try secondOperand(&op) }
    op.output = try output(op.ofm)
    let precision = try registers(.ifmPrecision)
    if mode == .add || mode == .sub { try scaleOperands(&op, precision) }
    if try registers(.ofmPrecision) & 0x100 != 0 {
      let scale = try globalScale()
      op.output.scale =
        mode == .mul && op.ifm.elementBytes == 4 ? .shiftOnly(Int(scale.shift)) : .global(scale)
    }
    return try finish(op)
  }

  var isU85: Bool { hardware.product == .u85 }

  // MARK: Tensors

  func outputMap() throws(Fault) -> FeatureMap {
    var map = FeatureMap(role: .ofm)
    map.height = try registers(.ofmHeightM1) + 1
    map.width = try registers(.ofmWidthM1) + 1
    map.depth = try registers(.ofmDepthM1) + 1
    let precision = try registers(.ofmPrecision)
    try type(&map, precision, widthShift: 1)
    let limit = isU85 ? 8 : 4
    try require(
      "ofmPrecision", map.elementBytes * 8, map.elementBytes <= limit,
      isU85 ? "8 to 64 bits" : "8, 16 or 32 bits")
    map.zeroPoint = try zeroPoint(.ofmZeroPoint, map.isSigned)
    return map
  }

  /// Where an OFM lies; for a transposed one its map must be the stored one.
  func placeOutput(_ map: inout FeatureMap) throws(Fault) {
    guard map.storage != .none else { return }
    map.region = try registers(.ofmRegion) & 7
    guard map.storage == .memory else { return }
    try place(
      &map, tiles: (.ofmHeight0M1, .ofmHeight1M1, .ofmWidth0M1),
      bases: (.ofmBase0, .ofmBase1, .ofmBase2, .ofmBase3),
      strides: (.ofmStrideY, .ofmStrideX, .ofmStrideC))
  }

  func inputMap(for op: KernelOp) throws(Fault) -> FeatureMap {
    var map = FeatureMap(role: .ifm)
    if !isU85 || !op.kind.isElementwise { map.depth = try registers(.ifmDepthM1) + 1 }
    switch op.kind {
    case .elementwise where isU85:
      let broadcast = try registers(.ifmBroadcast, in: 0...8)
      map.height = broadcast & 9 != 0 ? 1 : op.ofm.height
      map.width = broadcast & 10 != 0 ? 1 : op.ofm.width
      map.depth = broadcast & 12 != 0 ? 1 : op.ofm.depth
    case .resize:
      map.height = try registers(.kernelHeightM1) + 1
      map.width = try registers(.kernelWidthM1) + 1
    case .elementwise:
      map.height = op.ofm.height
      map.width = op.ofm.width
    default:
      let (height, width) = DenseInput<Int16>.extent(op)
      let inner = (
        height - op.kernel.padTop - op.kernel.padBottom,
        width - op.kernel.padLeft - op.kernel.padRight
      )
      try require("IFM height", inner.0, inner.0 > 0, "positive after padding")
      try require("IFM width", inner.1, inner.1 > 0, "positive after padding")
      let isDoubled = op.kernel.upscale != .none
      map.height = isDoubled ? (inner.0 + 1) / 2 : inner.0
      map.width = isDoubled ? (inner.1 + 1) / 2 : inner.1
    }
    let precision = try registers(.ifmPrecision)
    try type(&map, precision, widthShift: 2)
    try require("ifmPrecision", map.elementBytes * 8, map.elementBytes <= 4, "8, 16 or 32 bits")
    map.zeroPoint = try zeroPoint(.ifmZeroPoint, map.isSigned)
    try require(
      "ifmZeroPoint", Int(map.zeroPoint), map.elementBytes < 4 || map.zeroPoint == 0,
      "0 for 32-bit elements")
    if isU85 { map.storage = try storage(precision, .ifm) }
    guard map.storage != .none else { return map }
    map.region = try registers(.ifmRegion) & 7
    guard map.storage == .memory else { return map }
    try place(
      &map, tiles: (.ifmHeight0M1, .ifmHeight1M1, .ifmWidth0M1),
      bases: (.ifmBase0, .ifmBase1, .ifmBase2, .ifmBase3),
      strides: (.ifmStrideY, .ifmStrideX, .ifmStrideC))
    return map
  }

  func secondOperand(_ op: inout KernelOp) throws(Fault) {
    let broadcast = try registers(.ifm2Broadcast)
    op.swapsOperands = broadcast & 0x40 != 0
    var map = FeatureMap(role: .ifm2)
    let precision = try registers(.ifm2Precision)
    try type(&map, precision, widthShift: 2)
    try require(
      "ifm2Precision", map.elementBytes * 8,
      map.elementBytes == op.ifm.elementBytes && map.isSigned == op.ifm.isSigned, "the IFM type")
    map.zeroPoint = try zeroPoint(.ifm2ZeroPoint, map.isSigned)
    if broadcast & 0x80 != 0 {
      try require(
        "ifm2Broadcast", broadcast, map.elementBytes <= 2, "without constant for 32-bit elements")
      let value = try registers(.ifm2Scalar)
      let scalar = map.isSigned ? Int64(Int16(truncatingIfNeeded: value)) : Int64(value)
      op.scalar = scalar - Int64(map.zeroPoint)
      return
    }
    map.height = broadcast & 1 != 0 ? 1 : op.ofm.height
    map.width = broadcast & 2 != 0 ? 1 : op.ofm.width
    map.depth = broadcast & 4 != 0 ? 1 : op.ofm.depth
    map.region = try registers(.ifm2Region) & 7
    try place(
      &map, tiles: (.ifm2Height0M1, .ifm2Height1M1, .ifm2Width0M1),
      bases: (.ifm2Base0, .ifm2Base1, .ifm2Base2, .ifm2Base3),
      strides: (.ifm2StrideY, .ifm2StrideX, .ifm2StrideC))
    op.ifm2 = map
  }

  func type(_ map: inout FeatureMap, _ precision: Int, widthShift: Int) throws(Fault) {
    map.isSigned = precision & 1 != 0
    map.elementBytes = 1 << (precision >> widthShift & 3)
    let format = precision >> 6 & 3
    try require("\(map.role.rawValue) format", format, format <= 1, "0 (NHWC) or 1 (NHCWB16)")
    map.isBricked = format == 1
  }

  func zeroPoint(_ register: Register, _ isSigned: Bool) throws(Fault) -> Int32 {
    let value = try registers(register)
    return isSigned ? Int32(Int16(truncatingIfNeeded: value)) : Int32(value)
  }

  func place(
    _ map: inout FeatureMap, tiles: (Register, Register, Register),
    bases: (WideRegister, WideRegister, WideRegister, WideRegister),
    strides: (WideRegister, WideRegister, WideRegister)
  ) throws(Fault) {
    map.height0 = try registers(tiles.0) + 1
    map.height1 = try registers(tiles.1) + 1
    map.width0 = try registers(tiles.2) + 1
    map.strideY = try registers.stride(strides.0)
    if map.isBricked {
      map.strideC = try registers.stride(strides.2)
    } else {
      map.strideX = try registers.stride(strides.1)
    }
    let right = map.width > map.width0
    // Bases of tiles that the map does not reach are not used and need not be written.
    map.bases.0 = try registers.address(bases.0)
    if right { map.bases.1 = try registers.address(bases.1) }
    if map.height > map.height0 { map.bases.2 = try registers.address(bases.2) }
    if right, map.height > map.height1 { map.bases.3 = try registers.address(bases.3) }
    let unit = map.isBricked ? 16 : map.elementBytes
    for (name, value) in [
      ("base 0", map.bases.0), ("base 1", map.bases.1), ("base 2", map.bases.2),
      ("base 3", map.bases.3), ("Y stride", map.height > 1 ? map.strideY : 0),
      ("X stride", map.width > 1 ? map.strideX : 0), ("C stride", map.strideC),
    ] where value % unit != 0 {
      throw .illegalValue(
        register: "\(map.role.rawValue) \(name)", value: value, legal: "a multiple of \(unit)")
    }
  }

  // MARK: Kernel and streams

  func kernel(heightLimit: Int, areaLimit: Int) throws(Fault) -> Kernel {
    var kernel = Kernel()
    let steps = try registers(.kernelStride)
    kernel.strideX = 1 + (steps & 1) + 2 * (steps >> 6 & 1)
    kernel.strideY = 1 + (steps >> 1 & 1) + 2 * (steps >> 9 & 1)
    kernel.dilationX = 1 + (steps >> 3 & 1)
    kernel.dilationY = 1 + (steps >> 4 & 1)
    try require("stride X", kernel.strideX, kernel.strideX <= 3, "1...3")
    try require("stride Y", kernel.strideY, kernel.strideY <= 3, "1...3")
    let height = try registers(.kernelHeightM1)
    let width = try registers(.kernelWidthM1)
    try require("kernelHeightM1", height, height < heightLimit, "below \(heightLimit)")
    try require(
      "kernelWidthM1", width, (height + 1) * (width + 1) <= areaLimit,
      "such that the area is at most \(areaLimit)")
    try require(
      "kernelHeightM1", height, height % kernel.dilationY == 0, "a multiple of the dilation")
    try require("kernelWidthM1", width, width % kernel.dilationX == 0, "a multiple of the dilation")
    kernel.height = height / kernel.dilationY + 1
    kernel.width = width / kernel.dilationX + 1
    kernel.padTop = try registers(.ifmPadTop, in: 0...127)
    kernel.padLeft = try registers(.ifmPadLeft, in: 0...127)
    kernel.padBottom = try registers(.ifmPadBottom, in: 0...128)
    kernel.padRight = try registers(.ifmPadRight, in: 0...128)
    let upscale = try registers(.ifmUpscale)
    guard let mode = Upscale(rawValue: upscale) else {
      throw .illegalValue(register: "ifmUpscale", value: upscale, legal: "0...2")
    }
    kernel.upscale = mode
    return kernel
  }

  func isDualCore() throws(Fault) -> Bool {
    guard hardware.cores == 2 else { return false }
    return try registers(.parallelMode, in: 0...1) == 1
  }

  func stream(
    _ base: WideRegister, _ length: WideRegister, _ region: Int
  ) throws(Fault) -> StreamRange {
    let bytes = Int(try registers.raw(length).word)
    return StreamRange(
      region: region, base: bytes == 0 ? 0 : try registers.address(base), length: bytes)
  }

  // MARK: Output

  func globalScale() throws(Fault) -> FixedScale {
    let (parameter, word) = try registers.raw(.ofmScale)
    return FixedScale(multiplier: word, shift: parameter & 63)
  }

  func rounding(_ precision: Int, _ name: String) throws(Fault) -> RoundingMode {
    switch precision >> 14 & 3 {
    case 0: return .doubleSymmetric
    case 1: return .truncateToZero
    case 2: return .natural
    default:
      throw .illegalValue(register: "\(name) rounding mode", value: 3, legal: "0...2")
    }
  }

  func output(_ ofm: FeatureMap) throws(Fault) -> OutputSettings {
    var settings = OutputSettings()
    settings.rounding = try rounding(try registers(.ofmPrecision), "ofmPrecision")
    let activation = try registers(.activation)
    let range = try clampRange(activation >> 12 & 7, ofm)
    let low = try registers(.activationMin)
    let high = try registers(.activationMax)
    if let range {
      func limit(_ value: Int) -> Int64 {
        range.isSigned ? Int64(Int16(truncatingIfNeeded: value)) : Int64(value)
      }
      let lower = max(range.values.lowerBound, limit(low))
      let upper = min(range.values.upperBound, limit(high))
      guard lower <= upper else {
        throw .illegalValue(
          register: "activationMin", value: Int(limit(low)),
          legal: "at most activationMax (\(limit(high))) and within the clip range")
      }
      settings.clamp = lower...upper
    }
    settings.tableIndexIsSigned = range?.isSigned ?? ofm.isSigned
    let function = activation & 31
    switch function {
    case 0: settings.activation = .none
    case 3, 4:
      settings.activation = function == 3 ? .tanh : .sigmoid
      try require("activation", function, ofm.elementBytes == 2, "with a 16-bit OFM")
    case 16...23:
      settings.tableOffset = hardware.tableBase + 256 * (function - 16)
      switch ofm.elementBytes {
      case 1: settings.activation = .table8
      case 2: settings.activation = .table16
      default:
        settings.activation = .table8To32
        try require(
          "activation", function, range.map { $0.values.count == 256 } ?? false,
          "with an 8-bit clip range for a 32-bit OFM")
      }
    default:
      throw .illegalValue(
        register: "activation", value: function, legal: "0, 3, 4 or 16...23")
    }
    return settings
  }

  /// The values a clip range code allows, or `nil` for no limit.
  func clampRange(
    _ code: Int, _ ofm: FeatureMap
  ) throws(Fault) -> (values: ClosedRange<Int64>, isSigned: Bool)? {
    switch code {
    case 0:
      switch (ofm.elementBytes, ofm.isSigned) {
      case (1, true): return (-128...127, true)
      case (1, false): return (0...255, false)
      case (2, true): return (-32768...32767, true)
      case (2, false): return (0...65535, false)
      default: return nil
      }
    case 2: return (0...255, false)
    case 3: return (-128...127, true)
    case 5: return (-32768...32767, true)
    default:
      throw .illegalValue(register: "activation clip range", value: code, legal: "0, 2, 3 or 5")
    }
  }

  /// Operand scaling of ADD and SUB.
  func scaleOperands(_ op: inout KernelOp, _ precision: Int) throws(Fault) {
    let (shift, multiplier) = try registers.raw(.operandAScale)
    let mode = precision >> 8 & 3
    if mode == 0 {
      let other = try registers.raw(.operandBScale).word
      op.operandA.scale = FixedScale(multiplier: multiplier & 0xFFFF, shift: 0)
      op.operandB.scale = FixedScale(multiplier: other & 0xFFFF, shift: 0)
      return
    }
    try require("ifmPrecision scale mode", mode, mode <= 2, "0...2")
    try require(
      "ifmPrecision scale mode", mode, op.ifm.elementBytes <= 2, "0 for 32-bit elements")
    // The headroom that the 32-bit operand modes keep: 20 bits for 8-bit operands, 15 for 16-bit ones.
    let headroom = op.ifm.elementBytes == 1 ? 20 : 15
    let scaled = OperandScale(
      scale: FixedScale(multiplier: multiplier, shift: shift & 63),
      rounding: try rounding(precision, "ifmPrecision"), doubleRoundShift: headroom)
    let shifted = OperandScale(scale: FixedScale(multiplier: 1 << UInt32(headroom - 1), shift: 0))
    op.operandA = mode == 1 ? scaled : shifted
    op.operandB = mode == 1 ? shifted : scaled
  }

  /// Registers that only steer the hardware.
  func finish(_ op: KernelOp) throws(Fault) -> KernelOp {
    var op = op
    if registers.has(.ofmBlockHeightM1), registers.has(.ofmBlockWidthM1),
      registers.has(.ofmBlockDepthM1)
    {
      op.block = (
        try registers(.ofmBlockHeightM1) + 1, try registers(.ofmBlockWidthM1) + 1,
        try registers(.ofmBlockDepthM1) + 1
      )
    }
    if registers.has(.blockDependency) {
      op.blockDependency = try registers(.blockDependency) & (isU85 ? 7 : 3)
    }
    return op
  }

  func require(
    _ register: String, _ value: Int, _ holds: Bool, _ legal: @autoclosure () -> String
  ) throws(Fault) {
    guard holds else {
      throw .illegalValue(register: register, value: value, legal: legal())
    }
  }
}
