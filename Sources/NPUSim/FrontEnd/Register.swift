/// One-word registers (cmd0) that the simulator reads, by opcode.
enum Register: Int {
  case ifmPadTop = 256
  case ifmPadLeft, ifmPadRight, ifmPadBottom, ifmDepthM1, ifmPrecision
  case ifmUpscale = 263
  case ifmBroadcast, ifmZeroPoint, ifmWidth0M1, ifmHeight0M1, ifmHeight1M1, ifmIBEnd
  case ifmRegion = 271
  case ofmWidthM1 = 273
  case ofmHeightM1, ofmDepthM1, ofmPrecision, ofmBlockWidthM1, ofmBlockHeightM1, ofmBlockDepthM1
  case ofmZeroPoint
  case ofmWidth0M1 = 282
  case ofmHeight0M1, ofmHeight1M1
  case ofmRegion = 287
  case kernelWidthM1, kernelHeightM1, kernelStride, parallelMode, accFormat, activation
  case activationMin, activationMax, weightRegion, scaleRegion
  case resizeXScaleNM1 = 298
  case resizeYScaleNM1, resizeXOffset
  case abStart = 301
  case weightFormat, blockDependency, dmaSourceRegion, dmaDestinationRegion, dmaSize0, dmaSize1
  case dmaIndexRegion
  case ifm2Broadcast = 384
  case ifm2Scalar
  case ifm2Precision = 389
  case ifm2ZeroPoint = 393
  case ifm2Width0M1, ifm2Height0M1, ifm2Height1M1, ifm2IBStart
  case ifm2Region = 399

  /// U85 gives the number of AB_START another meaning.
  static var resizeYOffset: Register { .abStart }
}

/// Two-word registers (cmd1) that the simulator reads, by opcode.
enum WideRegister: Int {
  case ifmBase0 = 0
  case ifmBase1, ifmBase2, ifmBase3, ifmStrideX, ifmStrideY, ifmStrideC
  case ofmBase0 = 16
  case ofmBase1, ofmBase2, ofmBase3, ofmStrideX, ofmStrideY, ofmStrideC
  case weightBase = 32
  case weightLength, scaleBase, scaleLength, ofmScale, operandAScale, operandBScale, scalar
  case dmaSource = 48
  case dmaDestination, dmaLength, dmaSkip0, dmaSkip1, dmaDestinationStride0
  case dmaDestinationStride1, dmaIndex, dmaIndexMax, dmaIndexSkip1
  case ifm2Base0 = 128
  case ifm2Base1, ifm2Base2, ifm2Base3, ifm2StrideX, ifm2StrideY, ifm2StrideC
  case weight1Base = 144
  case weight1Length, scale1Base, scale1Length, weight3Base, weight3Length, resizeX, resizeY

  // Numbers that U85 uses for something else than U65.
  static var ifmScale: WideRegister { .operandAScale }
  static var ifm2Scale: WideRegister { .operandBScale }
  static var dmaSourceStride0: WideRegister { .dmaSkip0 }
  static var dmaSourceStride1: WideRegister { .dmaSkip1 }
  static var weight2Base: WideRegister { .scale1Base }
  static var weight2Length: WideRegister { .scale1Length }
}

/// The opcodes a product knows.
struct OpcodeSet {
  private var narrow = [Bool](repeating: false, count: 1024)
  private var wide = [Bool](repeating: false, count: 1024)

  /// The commands of a product.
  init(product: Hardware.Product) {
    var narrowRanges = [
      0...0, 1...3, 5...6, 16...19, 256...261, 263...263, 265...268, 271...271, 273...280,
      282...284, 287...290, 292...297, 303...307, 389...389, 393...396, 399...399, 384...384,
    ]
    var wideRanges = [0...6, 16...22, 32...38, 48...50, 128...134]
    switch product {
    case .u55:
      narrowRanges += [269...269, 301...301, 385...385, 397...397]
      wideRanges += [160...167]
    case .u65:
      narrowRanges += [269...269, 291...291, 301...301, 385...385, 397...397]
      wideRanges += [51...52, 144...147]
    case .u85:
      narrowRanges += [7...7, 264...264, 298...302, 308...308]
      wideRanges += [39...39, 51...57, 144...151, 256...256]
    }
    for opcode in narrowRanges.joined() { narrow[opcode] = true }
    for opcode in wideRanges.joined() { wide[opcode] = true }
  }

  /// Whether the command exists; opcodes have 10 bits.
  func contains(opcode: Int, isWide: Bool) -> Bool {
    isWide ? wide[opcode & 1023] : narrow[opcode & 1023]
  }
}

/// The register state a stream builds up.
struct RegisterFile {
  /// Opcodes 256... of cmd0 and 0... of cmd1, 256 of each.
  private static let bankSize = 256
  private var narrow = [Int32](repeating: -1, count: bankSize)
  private var wide = [UInt64](repeating: .max, count: bankSize)
  /// Addresses and strides have 40 bits, on U55 32.
  let addressBits: Int

  init(addressBits: Int) {
    self.addressBits = addressBits
  }

  /// Stores a parameter under a cmd0 opcode of 256 or more.
  mutating func set(opcode: Int, parameter: UInt16) {
    narrow[(opcode &- 256) & 0xFF] = Int32(parameter)
  }

  /// Stores parameter and second word under a cmd1 opcode below 256.
  mutating func setWide(opcode: Int, parameter: UInt16, word: UInt32) {
    wide[opcode & 0xFF] = UInt64(parameter) << 32 | UInt64(word)
  }

  func has(_ register: Register) -> Bool { narrow[register.rawValue &- 256] >= 0 }
  func has(_ register: WideRegister) -> Bool { wide[register.rawValue] != .max }

  /// The 16-bit parameter.
  func callAsFunction(_ register: Register) throws(Fault) -> Int {
    let value = narrow[register.rawValue &- 256]
    guard value >= 0 else { throw .registerNotSet("\(register)") }
    return Int(value)
  }

  /// The parameter within limits.
  func callAsFunction(
    _ register: Register, in limits: ClosedRange<Int>
  ) throws(Fault) -> Int {
    let value = try self(register)
    guard limits.contains(value) else {
      throw .illegalValue(
        register: "\(register)", value: value,
        legal: "\(limits.lowerBound)...\(limits.upperBound)")
    }
    return value
  }

  /// Parameter and second word.
  func raw(_ register: WideRegister) throws(Fault) -> (parameter: Int, word: UInt32) {
    let value = wide[register.rawValue]
    guard value != .max else { throw .registerNotSet("\(register)") }
    return (Int(value >> 32), UInt32(truncatingIfNeeded: value))
  }

  /// An unsigned byte address.
  func address(_ register: WideRegister) throws(Fault) -> Int {
    let (parameter, word) = try raw(register)
    return (addressBits > 32 ? (parameter & 0xFF) << 32 : 0) | Int(word)
  }

  /// A two's complement byte distance.
  func stride(_ register: WideRegister) throws(Fault) -> Int {
    let shift = Int.bitWidth - addressBits
    return (try address(register) << shift) >> shift
  }
}
