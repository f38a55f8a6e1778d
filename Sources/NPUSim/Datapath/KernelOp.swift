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
  /// A table with 4-byte entries indexed by 8-bit values.
  case table8To32
  /// A table of (base, slope) pairs indexed by 16-bit values.
  case table16
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
  case pooling(PoolingMode)
  case elementwise(ElementwiseMode)
}

/// One kernel operation with all registers resolved: everything the datapath needs, nothing else.
struct KernelOp {
  var kind: KernelKind
  var ifm: FeatureMap
  /// The second operand when it is a tensor.
  var ifm2: FeatureMap?
  /// The second operand when it is a constant, zero point already removed.
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
  var operandA = OperandScale()
  var operandB = OperandScale()
  var output = OutputSettings()
  /// Sizes of the OFM block; 0 when the registers were never written.
  var block = (height: 0, width: 0, depth: 0)
  /// BLOCKDEP.
  var blockDependency = 0
}
