/// What the timing of a kernel operation depends on, as plain numbers.
public struct KernelDescription: Sendable, Hashable {
  /// The unit that does the work.
  public enum Kind: Sendable, Hashable {
    case convolution(partKernelFirst: Bool)
    case depthwise
    case pooling(reduceSum: Bool, max: Bool)
    case elementwise(binary: Bool, multiply: Bool, addOrSubtract: Bool)
  }

  /// What it does.
  public var kind: Kind
  /// OFM height, width, depth.
  public var ofm: (height: Int, width: Int, depth: Int)
  /// OFM block height, width, depth.
  public var block: (height: Int, width: Int, depth: Int)
  /// IFM channels.
  public var ifmDepth: Int
  /// Bits of an element.
  public var ifmBits: Int
  public var ofmBits: Int
  /// Kernel taps, undilated.
  public var kernelHeight: Int
  public var kernelWidth: Int
  /// Strides.
  public var strideY: Int
  public var strideX: Int
  /// Whether a table or function is applied.
  public var usesTable: Bool
  /// Encoded weight and scale bytes.
  public var streamBytes: Int
  /// Bytes of the second operand.
  public var ifm2Bytes: Int
  /// Regions of the tensors and the weight stream.
  public var ifmRegion: Int
  public var ofmRegion: Int
  public var streamRegion: Int

  /// A description.
  public init(
    kind: Kind, ofm: (Int, Int, Int), block: (Int, Int, Int), ifmDepth: Int, ifmBits: Int,
    ofmBits: Int, kernelHeight: Int, kernelWidth: Int, strideY: Int, strideX: Int,
    usesTable: Bool, streamBytes: Int, ifm2Bytes: Int, ifmRegion: Int, ofmRegion: Int,
    streamRegion: Int
  ) {
    self.kind = kind
    self.ofm = (ofm.0, ofm.1, ofm.2)
    self.block = (block.0, block.1, block.2)
    self.ifmDepth = ifmDepth
    self.ifmBits = ifmBits
    self.ofmBits = ofmBits
    self.kernelHeight = kernelHeight
    self.kernelWidth = kernelWidth
    self.strideY = strideY
    self.strideX = strideX
    self.usesTable = usesTable
    self.streamBytes = streamBytes
    self.ifm2Bytes = ifm2Bytes
    self.ifmRegion = ifmRegion
    self.ofmRegion = ofmRegion
    self.streamRegion = streamRegion
  }

  /// Equal when all numbers are.
  public static func == (a: Self, b: Self) -> Bool {
    a.key == b.key
  }

  /// Hashes all numbers.
  public func hash(into hasher: inout Hasher) { hasher.combine(key) }

  private struct Key: Hashable {
    var kind: Kind
    var numbers: [Int]
    var usesTable: Bool
  }

  private var key: Key {
    Key(
      kind: kind,
      numbers: [
        ofm.height, ofm.width, ofm.depth, block.height, block.width, block.depth, ifmDepth, ifmBits,
        ofmBits, kernelHeight, kernelWidth, strideY, strideX, streamBytes, ifm2Bytes, ifmRegion,
        ofmRegion, streamRegion,
      ], usesTable: usesTable)
  }
}

/// One thing a command stream issues that takes or orders time.
public enum IssueEvent: Sendable, Hashable {
  case kernel(KernelDescription)
  /// A transfer between regions; nil is the NPU's internal memory.
  case transfer(bytes: Int, source: Int, destination: Int?)
  /// The parser waits until at most that many transfers are unfinished.
  case transferWait(Int)
  /// The parser waits until at most that many kernels are unfinished.
  case kernelWait(Int)
}

/// A memory as one region sees it, in the NPU's cycles.
public struct MemoryTraits: Sendable, Hashable {
  /// Sustained rates.
  public var readBytesPerCycle: Double
  public var writeBytesPerCycle: Double
  /// Cycles to the first data, and until a write is taken.
  public var readLatency: Int
  public var writeLatency: Int

  /// Traits; rates are positive (a read-only memory's write rate is never used).
  public init(
    readBytesPerCycle: Double, writeBytesPerCycle: Double, readLatency: Int, writeLatency: Int
  ) {
    self.readBytesPerCycle = readBytesPerCycle
    self.writeBytesPerCycle = writeBytesPerCycle
    self.readLatency = readLatency
    self.writeLatency = writeLatency
  }

  /// A memory that costs nothing.
  public static let ideal = MemoryTraits(
    readBytesPerCycle: .infinity, writeBytesPerCycle: .infinity, readLatency: 0, writeLatency: 0)
}
