import Containers
import Foundation

/// What an operator leaves behind.
struct KernelResult {
  /// The bytes of each output.
  var outputs: [[UInt8]]
  /// New bytes of inputs that live on between runs, by input index.
  var updates: [Int: [UInt8]] = [:]
}

/// The kernels by operator.
enum KernelTable {
  /// Computes an operator.
  typealias Kernel = @Sendable (KernelCall) throws(KernelError) -> KernelResult

  /// Every operator the CPU can run; NPU jobs, CALL_ONCE and variables are the session's.
  static let kernels: [TFLiteBuiltin: Kernel] = layers.merging(elementwise) { $1 }
    .merging(functions) { $1 }.merging(reductions) { $1 }.merging(movements) { $1 }

  /// A kernel with one output.
  private static func one(
    _ body: @escaping @Sendable (KernelCall) throws(KernelError) -> [UInt8]
  ) -> Kernel {
    { (call) throws(KernelError) in KernelResult(outputs: [try body(call)]) }
  }

  private static let layers: [TFLiteBuiltin: Kernel] = [
    .conv2d: one { (call) throws(KernelError) in try call.convolution() },
    .depthwiseConv2d: one { (call) throws(KernelError) in try call.depthwiseConvolution() },
    .transposeConv: one { (call) throws(KernelError) in try call.transposedConvolution() },
    .fullyConnected: one { (call) throws(KernelError) in try call.fullyConnected() },
    .batchMatmul: one { (call) throws(KernelError) in try call.batchMatMul() },
    .averagePool2d: one { (call) throws(KernelError) in try call.pooling(isAverage: true) },
    .maxPool2d: one { (call) throws(KernelError) in try call.pooling(isAverage: false) },
    .softmax: one { (call) throws(KernelError) in try call.softmax() },
    .unidirectionalSequenceLstm: { (call) throws(KernelError) in try call.lstm() },
  ]

  private static let elementwise: [TFLiteBuiltin: Kernel] = {
    var table: [TFLiteBuiltin: Kernel] = [
      .select: one { (call) throws(KernelError) in try call.selection() },
      .selectV2: one { (call) throws(KernelError) in try call.selection() },
      .logicalAnd: one { (call) throws(KernelError) in try call.logical(isAnd: true) },
      .logicalOr: one { (call) throws(KernelError) in try call.logical(isAnd: false) },
    ]
    for op in [.add, .sub, .mul, .div, .maximum, .minimum, .squaredDifference] as [TFLiteBuiltin] {
      table[op] = one { (call) throws(KernelError) in try call.binary(op) }
    }
    for op in [.equal, .notEqual, .less, .lessEqual, .greater, .greaterEqual] as [TFLiteBuiltin] {
      table[op] = one { (call) throws(KernelError) in try call.comparison(op) }
    }
    return table
  }()

  private static let functions: [TFLiteBuiltin: Kernel] = [
    .relu: one { (call) throws(KernelError) in try call.rectified(0, .infinity) },
    .relu6: one { (call) throws(KernelError) in try call.rectified(0, 6) },
    .reluN1To1: one { (call) throws(KernelError) in try call.rectified(-1, 1) },
    .relu0To1: one { (call) throws(KernelError) in try call.rectified(0, 1) },
    .leakyRelu: one { (call) throws(KernelError) in try call.leaky() },
    .prelu: one { (call) throws(KernelError) in try call.prelu() },
    .hardSwish: one { (call) throws(KernelError) in try call.hardSwish() },
    .logistic: one { (call) throws(KernelError) in try call.curve(isTanh: false) },
    .tanh: one { (call) throws(KernelError) in try call.curve(isTanh: true) },
    .gelu: one { (call) throws(KernelError) in try call.gelu() },
    .exp: one { (call) throws(KernelError) in try call.tabulated { expf($0) } },
    .log: one { (call) throws(KernelError) in try call.tabulated { logf($0) } },
    .rsqrt: one { (call) throws(KernelError) in try call.inverseRoot() },
    .abs: one { (call) throws(KernelError) in try call.sign(isAbsolute: true) },
    .neg: one { (call) throws(KernelError) in try call.sign(isAbsolute: false) },
    .logicalNot: one { (call) throws(KernelError) in try call.not() },
    .cast: one { (call) throws(KernelError) in try call.cast() },
    .quantize: one { (call) throws(KernelError) in try call.quantise() },
    .dequantize: one { (call) throws(KernelError) in try call.dequantise() },
  ]

  private static let reductions: [TFLiteBuiltin: Kernel] = [
    .mean: one { (call) throws(KernelError) in try call.meanOrSum(isMean: true) },
    .sum: one { (call) throws(KernelError) in try call.meanOrSum(isMean: false) },
    .reduceMax: one { (call) throws(KernelError) in try call.extreme(isMaximum: true) },
    .reduceMin: one { (call) throws(KernelError) in try call.extreme(isMaximum: false) },
    .argMax: one { (call) throws(KernelError) in try call.position(ofMaximum: true) },
    .argMin: one { (call) throws(KernelError) in try call.position(ofMaximum: false) },
    .resizeBilinear: one { (call) throws(KernelError) in try call.resizedBilinear() },
    .resizeNearestNeighbor: one { (call) throws(KernelError) in try call.resizedNearest() },
  ]

  private static let movements: [TFLiteBuiltin: Kernel] = [
    .reshape: one { (call) throws(KernelError) in try call.input(0).bytes },
    .squeeze: one { (call) throws(KernelError) in try call.input(0).bytes },
    .expandDims: one { (call) throws(KernelError) in try call.input(0).bytes },
    .concatenation: one { (call) throws(KernelError) in try call.concatenation() },
    .split: { (call) throws(KernelError) in KernelResult(outputs: try call.pieces()) },
    .splitV: { (call) throws(KernelError) in KernelResult(outputs: try call.pieces()) },
    .pack: one { (call) throws(KernelError) in try call.packed() },
    .unpack: { (call) throws(KernelError) in KernelResult(outputs: try call.unpacked()) },
    .stridedSlice: one { (call) throws(KernelError) in try call.stridedSlice() },
    .slice: one { (call) throws(KernelError) in try call.slice() },
    .gather: one { (call) throws(KernelError) in try call.gathered() },
    .reverseV2: one { (call) throws(KernelError) in try call.reversed() },
    .transpose: one { (call) throws(KernelError) in try call.transposed() },
    .pad: one { (call) throws(KernelError) in try call.padded() },
    .padv2: one { (call) throws(KernelError) in try call.padded() },
    .mirrorPad: one { (call) throws(KernelError) in try call.mirrored() },
  ]
}
