/// Registers of one word that the compiler writes, by opcode (command-stream specification, section 3).
public enum NarrowRegister: UInt32, Sendable {
  case ifmPadTop = 256
  case ifmPadLeft, ifmPadRight, ifmPadBottom, ifmDepthM1, ifmPrecision
  case ifmUpscale = 263
  case ifmZeroPoint = 265
  case ifmWidth0M1, ifmHeight0M1, ifmHeight1M1, ifmIBEnd
  case ifmRegion = 271
  case ofmWidthM1 = 273
  case ofmHeightM1, ofmDepthM1, ofmPrecision, ofmBlockWidthM1, ofmBlockHeightM1, ofmBlockDepthM1
  case ofmZeroPoint
  case ofmWidth0M1 = 282
  case ofmHeight0M1, ofmHeight1M1
  case ofmRegion = 287
  case kernelWidthM1, kernelHeightM1, kernelStride
  case accFormat = 292
  case activation, activationMin, activationMax, weightRegion, scaleRegion
  case abStart = 301
  case blockDep = 303
  case dmaSourceRegion, dmaDestinationRegion

  /// The largest value the field takes.
  var limit: Int {
    switch self {
    case .ifmPadTop, .ifmPadLeft, .ofmBlockDepthM1: 127
    case .ifmPadRight, .ifmPadBottom: 255
    case .ifmIBEnd, .abStart, .ofmBlockWidthM1: 63
    case .ofmBlockHeightM1: 31
    case .ifmRegion, .ofmRegion, .weightRegion, .scaleRegion, .dmaSourceRegion,
      .dmaDestinationRegion:
      7
    case .ifmUpscale, .accFormat, .blockDep: 3
    default: 65535
    }
  }
}

/// Registers of two words, by opcode.
public enum WideRegister: UInt32, Sendable {
  case ifmBase0 = 0
  case ifmBase1, ifmBase2, ifmBase3, ifmStrideX, ifmStrideY, ifmStrideC
  case ofmBase0 = 16
  case ofmBase1, ofmBase2, ofmBase3, ofmStrideX, ofmStrideY, ofmStrideC
  case weightBase = 32
  case weightLength, scaleBase, scaleLength
  case dmaSource = 48
  case dmaDestination, dmaLength

  /// What the value must be a multiple of.
  var alignment: Int {
    switch self {
    case .weightBase, .weightLength, .scaleLength, .dmaSource, .dmaDestination, .dmaLength: 16
    default: 1
    }
  }
}

/// A value that a register cannot hold: a bug of the caller, named.
public struct CommandWriterError: Error, Sendable, CustomStringConvertible {
  /// The register, the value, and what it may be.
  public let description: String
}

/// Writes a command stream word by word, leaving out writes that change nothing.
public struct CommandWriter: Sendable {
  /// The words so far.
  public private(set) var words: [UInt32] = []
  private var shadow: [UInt32: UInt64] = [:]

  /// An empty stream.
  public init() {}

  /// Writes a one-word register.
  public mutating func set(_ register: NarrowRegister, _ value: Int) throws(CommandWriterError) {
    guard value >= 0, value <= register.limit else {
      throw CommandWriterError(
        description: "\(register) is \(value), must be 0 to \(register.limit)")
    }
    guard shadow.updateValue(UInt64(value), forKey: register.rawValue) != UInt64(value) else {
      return
    }
    words.append(register.rawValue | UInt32(value) << 16)
  }

  /// Writes a two-word register: a byte offset, stride or length below 2^32, all that U55 has.
  public mutating func setAddress(_ register: WideRegister, _ value: Int)
    throws(CommandWriterError)
  {
    guard value >= 0, value <= Int(UInt32.max), value % register.alignment == 0 else {
      throw CommandWriterError(
        description:
          "\(register) is \(value), must be 0 to 2^32-1 and a multiple of \(register.alignment)")
    }
    // Wide registers share no numbers with narrow ones above 255; keep their shadows apart.
    guard shadow.updateValue(UInt64(value), forKey: register.rawValue | 1 << 16) != UInt64(value)
    else { return }
    words.append(register.rawValue | 1 << 14)
    words.append(UInt32(value))
  }

  /// Queues a transfer of `bytes` between two regions.
  public mutating func dma(
    from source: Int, offset: Int, to destination: Int, offset destinationOffset: Int, bytes: Int
  ) throws(CommandWriterError) {
    try set(.dmaSourceRegion, source)
    try setAddress(.dmaSource, offset)
    try set(.dmaDestinationRegion, destination)
    try setAddress(.dmaDestination, destinationOffset)
    try setAddress(.dmaLength, bytes)
    words.append(16)
  }

  /// Holds the parser until at most `count` transfers are unfinished.
  public mutating func dmaWait(_ count: Int) { words.append(17 | UInt32(count & 15) << 16) }

  /// Holds the parser until at most `count` kernels are unfinished.
  public mutating func kernelWait(_ count: Int) { words.append(18 | UInt32(count & 3) << 16) }

  /// Starts a convolution with the registers as they are.
  public mutating func convolution() { words.append(2) }

  /// Ends the stream.
  public mutating func stop() { words.append(0xFFFF_0000) }
}
