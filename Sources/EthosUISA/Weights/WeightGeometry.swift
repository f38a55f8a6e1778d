/// Everything that decides in which order an NPU reads the weights of one depth slice.
///
/// Plain data: the register values of an operation (or what a compiler chose) and the shape of the
/// slice. Facts: Arm's Vela, mlw_codec's `reorder_encode`, and the U85 encoder of Vela 5.
public struct WeightGeometry: Sendable, Hashable {
  /// How the hardware walks over kernels and channels.
  public enum Traversal: Sendable, Hashable, CaseIterable {
    /// Input channels inside kernel elements (KERNEL_STRIDE bit 2 is 0).
    case depthFirst
    /// Kernel elements inside few input channels (KERNEL_STRIDE bit 2 is 1).
    case partKernelFirst
    /// One input channel for each output channel (NPU_OP_DEPTHWISE).
    case depthwise
  }

  /// The two orders there are.
  public enum Family: Sendable, Hashable {
    /// U55 and U65.
    case u55
    /// U85.
    case u85
  }

  /// The formats of the stream.
  public enum Format: Sendable, Hashable {
    /// Golomb-Rice codes, the standard weight decoder (SWD).
    case standard
    /// Fixed-width codes, the fast weight decoder (FWD) of U85.
    case fast
  }

  /// The order's family.
  public var family: Family
  /// The stream's format.
  public var format = Format.standard
  /// How the hardware walks.
  public var traversal: Traversal
  /// Output channels of the slice; for depthwise all channels of the slice.
  public var outputs: Int
  /// Input channels; ignored (1) for depthwise.
  public var inputs: Int
  /// Rows of the kernel, without dilation.
  public var kernelHeight: Int
  /// Columns of the kernel, without dilation.
  public var kernelWidth: Int
  /// Dilation of rows, 1 or 2.
  public var dilationY = 1
  /// Dilation of columns, 1 or 2.
  public var dilationX = 1
  /// Stride of rows; U85 only.
  public var strideY = 1
  /// Stride of columns; U85 only.
  public var strideX = 1
  /// OFM block depth, OFM_BLK_DEPTH_M1 + 1.
  public var ofmBlockDepth: Int
  /// OFM micro-block depth.
  public var ofmUblockDepth: Int
  /// IFM micro-block depth, 8 on U55 and U65; U85 does not use it.
  public var ifmUblockDepth = 8
  /// Bits of an input element: 8, 16, or (U85) 32.
  public var ifmBits: Int
  /// Streams that share the work: cores of a U65-512, weight decoders of a U85.
  public var cores = 1
  /// 8-bit MACs a cycle; U85 only.
  public var macs = 256
  /// 2:4 sparsity; U85 only, not for depthwise.
  public var isSparse = false
  /// Elements from one output channel to the next in memory; nil for OHWI.
  public var outputStride: Int?
  /// Elements from one kernel row to the next in memory; nil for OHWI.
  public var rowStride: Int?
  /// Elements from one kernel column to the next in memory; nil for OHWI.
  public var columnStride: Int?

  /// A geometry of a slice; the remaining properties have the values of a plain U55 convolution.
  public init(
    family: Family = .u55, traversal: Traversal = .depthFirst, outputs: Int, inputs: Int,
    kernelHeight: Int = 1, kernelWidth: Int = 1, ofmBlockDepth: Int, ofmUblockDepth: Int = 8,
    ifmBits: Int = 8
  ) {
    self.family = family
    self.traversal = traversal
    self.outputs = outputs
    self.inputs = inputs
    self.kernelHeight = kernelHeight
    self.kernelWidth = kernelWidth
    self.ofmBlockDepth = ofmBlockDepth
    self.ofmUblockDepth = ofmUblockDepth
    self.ifmBits = ifmBits
  }

  /// Streams of the slice; some may be empty.
  public var streamCount: Int { format == .fast ? 1 : cores }

  /// Input channels that are stored: 1 for depthwise.
  public var storedInputs: Int { traversal == .depthwise ? 1 : inputs }

  /// Elements that a buffer of the slice's weights spans.
  public var elementCount: Int {
    (outputs - 1) * strideOfOutputs + (kernelHeight - 1) * strideOfRows
      + (kernelWidth - 1) * strideOfColumns + storedInputs
  }

  /// Weights of one stream in hardware order, padding included.
  public func paddedCount(stream: Int = 0) -> Int {
    var count = WeightCounter()
    walk(stream: stream, &count)
    return count.total
  }

  var strideOfColumns: Int { columnStride ?? storedInputs }
  var strideOfRows: Int { rowStride ?? kernelWidth * storedInputs }
  var strideOfOutputs: Int { outputStride ?? kernelHeight * kernelWidth * storedInputs }

  /// Throws when a value cannot be.
  func check(stream: Int) throws(WeightStreamError) {
    func require(_ condition: Bool, _ message: String) throws(WeightStreamError) {
      if !condition { throw WeightStreamError(.invalidGeometry(message)) }
    }
    let most = 1 << 20
    for (name, value) in [
      ("outputs", outputs), ("inputs", inputs), ("kernel height", kernelHeight),
      ("kernel width", kernelWidth), ("stride", strideY), ("stride", strideX),
      ("OFM block depth", ofmBlockDepth),
    ] {
      try require(value >= 1 && value <= most, "\(name) \(value) is not in 1…\(most)")
    }
    for stride in [outputStride, rowStride, columnStride] {
      try require((stride ?? 1) >= 0 && (stride ?? 1) <= 1 << 40, "memory strides are not negative")
    }
    let (kernel, kernelTooLarge) = kernelHeight.multipliedReportingOverflow(by: kernelWidth)
    try require(!kernelTooLarge && kernel <= 1 << 16, "the kernel is larger than 65536 elements")
    try require((1...2).contains(dilationY) && (1...2).contains(dilationX), "dilation is 1 or 2")
    try require([8, 16, 32].contains(ifmBits), "inputs have 8, 16 or 32 bits")
    try require(
      [4, 8, 16, 32, 64].contains(ofmUblockDepth), "OFM micro-blocks are 4, 8, 16, 32 or 64 deep")
    try require(stream >= 0 && stream < streamCount, "there is no stream \(stream)")
    switch family {
    case .u55:
      try require(ifmBits != 32, "U55 and U65 read 8 or 16 bits")
      try require(ifmUblockDepth == 8, "IFM micro-blocks are 8 deep")
      try require(cores == 1 || cores == 2, "U65 has one or two cores")
      try require(!isSparse && format == .standard, "sparse and fast streams need a U85")
    case .u85:
      try require([1, 2, 4].contains(cores), "U85 has 1, 2 or 4 weight decoders")
      try require(ofmUblockDepth >= 8 && ofmUblockDepth % (4 * cores) == 0, "micro-block too small")
      try require([128, 256, 512, 1024, 2048].contains(macs), "U85 has 128…2048 MACs")
      try require(
        traversal != .depthwise || (!isSparse && format == .standard),
        "depthwise is neither sparse nor fast")
    }
  }
}

/// Counts weights.
private struct WeightCounter: WeightVisitor {
  var total = 0

  @inline(__always)
  mutating func span(at offset: Int, valid: Int, padded: Int, isOwn: Bool) { total &+= padded }

  @inline(__always)
  mutating func zeros(_ count: Int) { total &+= count }
}
