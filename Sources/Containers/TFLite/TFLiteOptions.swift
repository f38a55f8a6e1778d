/// The activation fused into an operator, with the schema's numbers.
public enum TFLiteActivation: Int8, Sendable, Hashable {
  case none = 0
  case relu, reluN1To1, relu6, tanh, signBit
}

/// How a window may reach over the edge, with the schema's numbers.
public enum TFLitePadding: Int8, Sendable, Hashable {
  case same = 0
  case valid
}

/// Stride, dilation and padding of a window that moves over height and width.
public struct TFLiteWindow: Sendable, Hashable {
  /// How it may reach over the edge.
  public var padding: TFLitePadding
  /// Steps of the output in the input, at least 1.
  public var strideHeight, strideWidth: Int
  /// Distances of neighbouring taps, at least 1.
  public var dilationHeight = 1
  public var dilationWidth = 1
  /// What follows.
  public var activation: TFLiteActivation
}

/// Options of an operator, as far as kernels of ours read them.
public enum TFLiteOptions: Sendable, Hashable {
  case none
  case convolution(TFLiteWindow)
  case depthwise(TFLiteWindow, depthMultiplier: Int)
  case pool(TFLiteWindow, height: Int, width: Int)
  case fullyConnected(TFLiteActivation, keepsDimensions: Bool)
  case softmax(beta: Float)
  /// Addition, subtraction, multiplication, division.
  case arithmetic(TFLiteActivation)
  case concatenation(axis: Int, TFLiteActivation)
  case reshape([Int])
  case squeeze([Int])
  case lstm(TFLiteActivation, cellClip: Float, timeMajor: Bool)
  case svdf(rank: Int, TFLiteActivation)
  case reduce(keepsDimensions: Bool)
  case resize(alignCorners: Bool, halfPixelCentres: Bool)
  case stridedSlice(begin: Int, end: Int, ellipsis: Int, newAxis: Int, shrink: Int, offset: Bool)
  case leakyRelu(alpha: Float)
  case gelu(isApproximate: Bool)
  /// Pieces of SPLIT and SPLIT_V.
  case split(count: Int)
  case pack(axis: Int)
  case unpack(axis: Int)
  case gather(axis: Int, batchDimensions: Int)
  case cast(from: TFLiteTensorType?, to: TFLiteTensorType?)
  case batchMatMul(transposesA: Bool, transposesB: Bool)
  case callOnce(subgraph: Int)
  case variable(container: String, name: String)
  case mirrorPad(isSymmetric: Bool)
  case branch(then: Int, otherwise: Int)
  case loop(condition: Int, body: Int)
  case block(size: Int)
}
