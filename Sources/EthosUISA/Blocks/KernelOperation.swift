/// What of a kernel operation decides which blocks it may use and how many bytes they take.
public struct KernelOperation: Sendable, Hashable {
  /// Families of operations that blocks are chosen for in different ways.
  public enum Kind: Sendable, Hashable {
    /// Convolution with a weight stream, also fully connected.
    case convolution
    /// U85: product of two feature maps.
    case matrixProduct
    /// Depthwise convolution.
    case depthwise
    /// Pooling that keeps channels apart, and copies made with it.
    case pooling
    /// Sum over all channels.
    case reduceSum
    /// Index of the maximum along an axis (U85).
    case argMax
    /// One or two operands, element by element.
    case elementwise
    /// Resampling (U85).
    case resize
  }

  /// How the IFM is enlarged when it is read.
  public enum Upscaling: Sendable, Hashable {
    /// Not at all.
    case none
    /// Every element twice along each axis.
    case nearest
    /// Zeros between elements.
    case zeros
  }

  /// Family.
  public var kind: Kind
  /// IFM height, width, channels as stored, without padding.
  public var ifm: BlockShape
  /// OFM height, width, channels.
  public var ofm: BlockShape
  /// Bits of an IFM element.
  public var ifmBits = 8
  /// Bits of an OFM element.
  public var ofmBits = 8
  /// Kernel rows and columns after dilation.
  public var kernel = (height: 1, width: 1)
  /// Strides.
  public var stride = (y: 1, x: 1)
  /// Dilations: 1 or 2.
  public var dilation = (y: 1, x: 1)
  /// Enlargement of the IFM.
  public var upscaling = Upscaling.none
  /// Convolution: whether weights go kernel part first.
  public var partKernelFirst = false
  /// Bits of an accumulator: 32, 40 (U55, U65) or 48 (U85).
  public var accumulatorBits = 32
  /// Whether a look-up table is applied.
  public var usesTable = false
  /// Elementwise: whether the second operand is a tensor in memory.
  public var hasSecondTensor = false
  /// Elementwise: axes along which a tensor operand of size one is repeated.
  public var broadcast = Broadcast()
  /// U85: whether weights have two zeros in every four.
  public var isSparse = false
  /// U85: resize steps, numerator `n` and step `d` along x.
  public var resize: (n: Int, d: Int)?

  /// Axes of a broadcast operand.
  public struct Broadcast: Sendable, Hashable {
    /// Rows are repeated.
    public var height = false
    /// Columns are repeated.
    public var width = false
    /// Channels are repeated.
    public var depth = false

    /// No axis.
    public init() {}
  }

  /// An operation with the commonest values in everything else.
  public init(_ kind: Kind, ifm: BlockShape, ofm: BlockShape) {
    self.kind = kind
    self.ifm = ifm
    self.ofm = ofm
  }

  /// Whether OFM channel c needs IFM channel c alone.
  public var keepsDepth: Bool {
    switch kind {
    case .depthwise, .pooling, .elementwise, .resize, .argMax: true
    case .convolution, .matrixProduct, .reduceSum: false
    }
  }

  /// Compares all fields.
  public static func == (a: KernelOperation, b: KernelOperation) -> Bool {
    a.kind == b.kind && a.ifm == b.ifm && a.ofm == b.ofm && a.ifmBits == b.ifmBits
      && a.ofmBits == b.ofmBits && a.kernel == b.kernel && a.stride == b.stride
      && a.dilation == b.dilation && a.upscaling == b.upscaling
      && a.partKernelFirst == b.partKernelFirst && a.accumulatorBits == b.accumulatorBits
      && a.usesTable == b.usesTable && a.hasSecondTensor == b.hasSecondTensor
      && a.broadcast == b.broadcast && a.isSparse == b.isSparse
      && a.resize?.n == b.resize?.n && a.resize?.d == b.resize?.d
  }

  /// Hashes what differs most.
  public func hash(into hasher: inout Hasher) {
    hasher.combine(kind)
    hasher.combine(ifm)
    hasher.combine(ofm)
    hasher.combine(ifmBits)
    hasher.combine(partKernelFirst)
  }
}
