import TensorCore

/// Pooling modes (the parameter of NPU_OP_POOL).
enum PoolingMode: Int {
  case max = 0
  case average, reduceSum, sum, none, min, argmaxX, argmaxY
}

/// Elementwise modes (the parameter of NPU_OP_ELEMENTWISE).
enum ElementwiseMode: Int {
  case mul = 0
  case add, sub, min, max, leakyReLU, abs, clz, shr, shl, lsr, div
  case equal = 16
  case notEqual, greaterOrEqual, greater
  case and = 33
  case or, xor, not
  case andNot = 42

  /// Modes without a second operand.
  var isUnary: Bool {
    switch self {
    case .leakyReLU, .abs, .clz, .not: true
    default: false
    }
  }
}

/// IFM doubling on read.
enum Upscale: Int {
  case none = 0
  case nearest, zeros
}

/// Window geometry of convolutions and pooling.
struct Kernel {
  /// Taps, undilated.
  var height = 1
  var width = 1
  var strideY = 1
  var strideX = 1
  var dilationY = 1
  var dilationX = 1
  var padTop = 0
  var padLeft = 0
  var padBottom = 0
  var padRight = 0
  var upscale = Upscale.none

  var dilatedHeight: Int { (height &- 1) &* dilationY &+ 1 }
  var dilatedWidth: Int { (width &- 1) &* dilationX &+ 1 }
  var isPadded: Bool { padTop | padLeft | padBottom | padRight != 0 }
  /// Whether output pixel (y, x) needs input pixel (y, x) and nothing else.
  var isPointwise: Bool {
    height == 1 && width == 1 && strideY == 1 && strideX == 1 && !isPadded && upscale == .none
  }
}

/// A byte range that holds one stream of weights or scales.
struct StreamRange: Hashable {
  var region: Int
  var base: Int
  var length: Int
}

/// How the weight streams of an operation are laid out; everything the order depends on.
struct WeightLayout: Hashable {
  /// Depthwise streams have one input channel.
  var isDepthwise: Bool
  var isPartKernelFirst: Bool
  /// Bits of an IFM element.
  var ifmBits: Int
  var ofmDepth: Int
  var ifmDepth: Int
  /// Taps, undilated.
  var kernelHeight: Int
  var kernelWidth: Int
  var strideY: Int
  var strideX: Int
  var dilationY: Int
  var dilationX: Int
  /// OFM_BLK_DEPTH.
  var blockDepth: Int
  /// U85: depth of the microblock; 0 elsewhere.
  var microblockDepth: Int
  /// U85: fixed-width codes.
  var isFast: Bool
  /// U85: 2:4 sparse traversal.
  var isSparse: Bool
}

extension KernelKind {
  /// Whether its weights are IFM2.
  var isMatrixProduct: Bool {
    if case .matrixProduct = self { true } else { false }
  }

  /// Whether it is an elementwise operation.
  var isElementwise: Bool {
    if case .elementwise = self { true } else { false }
  }
}

/// Scaling of one elementwise operand before the operation.
struct OperandScale {
  var scale = FixedScale.one
  var rounding = RoundingMode.doubleSymmetric
  var doubleRoundShift = 0

  var isIdentity: Bool { scale == .one }
}

/// Where output multipliers come from.
enum OutputScale {
  case none
  case global(FixedScale)
  /// Only the shift acts (32-bit MUL).
  case shiftOnly(Int)
  /// From the scale stream.
  case perChannel
}

/// The function applied after scaling.
enum ActivationFunction {
  case none
  case tanh, sigmoid
  /// A table with 1-byte entries indexed by 8-bit values.
  case table8
  /// A table with 2-byte entries indexed by 8-bit values (U85).
  case table8To16
  /// A table with 4-byte entries indexed by 8-bit values.
  case table8To32
  /// A table of (base, slope) pairs indexed by 16-bit values.
  case table16
  /// A table with 4-byte entries indexed by the upper 9 bits of 16-bit values (U85).
  case table16To32
  /// U85: tanh and sigmoid by a table of (base, slope) pairs, before the clamp.
  case tanhTable, sigmoidTable

  /// Bytes of the table.
  var tableBytes: Int {
    switch self {
    case .none, .tanh, .sigmoid: 0
    case .table8: 256
    case .table8To16: 512
    case .table8To32: 1024
    case .table16, .table16To32, .tanhTable, .sigmoidTable: 2048
    }
  }
}

/// U85: what the accumulators hold before the first product.
enum AccumulatorInput: Int {
  case zero = 0
  /// What the operation before left.
  case kept
  /// The elements of IFM2.
  case ifm2
}

/// U85: the order of the axes of a stored OFM; the letters name the axis each stored axis comes from.
enum Transposition: Int {
  case hwc = 0
  case whc = 1
  case hcw = 2
  case wch = 3
  case chw = 6
  case cwh = 7

  /// For the stored height, width and depth: the axis (0 height, 1 width, 2 depth) it comes from.
  var sources: (Int, Int, Int) {
    switch self {
    case .hwc: (0, 1, 2)
    case .whc: (1, 0, 2)
    case .hcw: (0, 2, 1)
    case .wch: (1, 2, 0)
    case .chw: (2, 0, 1)
    case .cwh: (2, 1, 0)
    }
  }
}

/// U85: the axis along which an OFM is stored backwards.
enum Reversal: Int {
  case none = 0
  case height, width, depth
}

/// U85: how NPU_OP_RESIZE steps through one axis of the IFM.
struct ResizeAxis {
  /// Steps from one input element to the next.
  var divisor: Int
  /// Steps from one output element to the next.
  var step: Int
  /// Steps of the first output element.
  var offset: Int
}

/// U85: interpolation of NPU_OP_RESIZE.
enum ResizeMode: Int {
  case bilinear = 0
  case replicate, nearest
}

/// The stage between accumulator and memory.
struct OutputSettings {
  var scale = OutputScale.none
  var rounding = RoundingMode.doubleSymmetric
  var doubleRoundShift = 0
  var activation = ActivationFunction.none
  /// Byte offset of the table in the internal memory.
  var tableOffset = 0
  /// Whether table indices are signed.
  var tableIndexIsSigned = true
  /// Clamp after scaling and zero point, in values; `nil` when the operation does not clamp.
  var clamp: ClosedRange<Int64>?
}

/// The kind of a kernel operation and what only it has.
enum KernelKind {
  case convolution
  case depthwise
  /// U85: a convolution whose weights are IFM2.
  case matrixProduct
  /// U85: along height and width.
  case resize(ResizeMode, ResizeAxis, ResizeAxis)
  case pooling(PoolingMode)
  case elementwise(ElementwiseMode)
}

/// One kernel operation with all registers resolved: everything the datapath needs, nothing else.
struct KernelOp {
  var kind: KernelKind
  var ifm: FeatureMap
  /// The second operand when it is a tensor.
  var ifm2: FeatureMap?
  /// The operand that is a constant, zero point already removed: IFM when its storage is `none`, else IFM2.
  var scalar: Int64?
  /// IFM2 is operand A and IFM operand B.
  var swapsOperands = false
  var ofm: FeatureMap
  var kernel = Kernel()
  var weightLayout: WeightLayout?
  /// Weight streams by core or decoder.
  var weights: [StreamRange] = []
  /// Scale streams by core.
  var scales: [StreamRange] = []
  /// Average pooling divides by the valid elements.
  var dividesAverage = false
  var accumulatorInput = AccumulatorInput.zero
  /// U85: accumulators of 48 bits, which shape the scale records.
  var hasWideAccumulators = false
  /// Whether the OFM is written; otherwise the accumulators stay for the next operation.
  var writesOutput = true
  var transposition = Transposition.hwc
  var reversal = Reversal.none
  var operandA = OperandScale()
  var operandB = OperandScale()
  var output = OutputSettings()
  /// Sizes of the OFM block; 0 when the registers were never written.
  var block = (height: 0, width: 0, depth: 0)
  /// Height and width of the U85 microblock.
  var microblock = (height: 0, width: 0)
  /// BLOCKDEP.
  var blockDependency = 0
}

extension KernelOp {
  /// The OFM as memory holds it: its tiles and strides describe the transposed tensor.
  var storedOFM: FeatureMap {
    guard transposition != .hwc else { return ofm }
    var map = ofm
    let extent = [ofm.height, ofm.width, ofm.depth]
    let (h, w, c) = transposition.sources
    map.height = extent[h]
    map.width = extent[w]
    map.depth = extent[c]
    return map
  }

  /// Whether it takes an operand from the chaining buffers, so that it runs together with the one before.
  var continuesChain: Bool { ifm.isChained || ifm2?.isChained ?? false }

  /// Whether results go where the loops of the datapath produce them.
  var isStoredInOrder: Bool { transposition == .hwc && reversal == .none }
}
