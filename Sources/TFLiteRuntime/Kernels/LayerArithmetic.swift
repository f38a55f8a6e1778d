import Containers
import TensorCore

/// What convolutions and linear layers share: operands without zero points, bias, output scales.
struct LayerArithmetic {
  /// Input values minus the zero point.
  let input: [Int16]
  /// Weights minus the zero point.
  let weights: [Int16]
  /// Bias by output channel.
  let bias: [Int]
  /// Products that a 32-bit sum can hold.
  let block: Int
  private let scales: [Rescale]
  private let zero: Int
  private let clamp: ClosedRange<Int>
  private let element: ElementType

  /// Takes the operands of a layer with `channels` outputs.
  ///
  /// Scales are a product and quotient in double for int8 and int16 convolutions; for uint8 and linear
  /// layers with one scale the product is rounded to float first (`GetQuantizedConvolutionMultipler`).
  init(
    input: KernelTensor, weights: KernelTensor, bias: KernelTensor?, output: TFLiteTensor,
    channels: Int, activation: TFLiteActivation, isLinear: Bool = false
  ) throws(KernelError) {
    let (inputScale, inputZero) = try input.type.perTensor()
    let (outputScale, outputZero) = try output.perTensor()
    guard let element = output.type.element, input.type.type == output.type,
      [.int8, .uint8, .int16].contains(input.type.type),
      weights.type.type == (input.type.type == .uint8 ? .uint8 : .int8)
    else {
      throw KernelError(
        reason: "no kernel takes \(input.type.type) with \(weights.type.type) weights")
    }
    guard let quantisation = weights.type.quantisation,
      quantisation.axis == nil || quantisation.scales.count == channels
    else { throw KernelError(reason: "its weights have no scale for each output channel") }
    let weightZero = Int(quantisation.zeroPoint())
    guard quantisation.zeroPoints.allSatisfy({ Int($0) == weightZero }),
      input.type.type == .uint8 || isLinear ? (-128...255).contains(weightZero) : weightZero == 0
    else { throw KernelError(reason: "its weights have zero points") }
    self.input = try input.integers().map { Int16(truncatingIfNeeded: $0 - inputZero) }
    self.weights = try weights.integers().map { Int16(truncatingIfNeeded: $0 - weightZero) }
    self.bias = try bias?.integers() ?? [Int](repeating: 0, count: channels)
    guard self.bias.count == channels, self.bias.allSatisfy({ abs($0) < 1 << 48 }) else {
      throw KernelError(reason: "its bias does not fit its outputs")
    }
    let isWide =
      input.type.type == .int16 && (bias?.type.type == .int64 || (isLinear && bias == nil))
    if input.type.type == .int16, inputZero != 0 || outputZero != 0 {
      throw KernelError(reason: "16-bit tensors have zero points")
    }
    var scales: [Rescale] = []
    for channel in 0..<channels {
      let weight = quantisation.scale(quantisation.axis == nil ? 0 : channel)
      let product =
        input.type.type == .uint8 || (isLinear && quantisation.axis == nil)
        ? Double(inputScale * weight) : Double(inputScale) * Double(weight)
      scales.append(try Rescale(product / Double(outputScale), wide: isWide))
    }
    self.scales = scales
    zero = outputZero
    clamp = try activation.clamp(output)
    // 255 * 255 * 32768 and 32768 * 255 * 256 stay below 2^31.
    block = input.type.type == .int16 ? 256 : 32768
    self.element = element
  }

  /// Sum of products of `count` neighbouring inputs and weights.
  @inline(__always)
  func dot(_ x: UnsafePointer<Int16>, _ w: UnsafePointer<Int16>, _ count: Int) -> Int {
    var total = 0
    var i = 0
    while i < count {
      let end = min(count, i &+ block)
      var sum: Int32 = 0
      while i < end {
        sum &+= Int32(x[i]) &* Int32(w[i])
        i &+= 1
      }
      total &+= Int(sum)
    }
    return total
  }

  /// The stored output for a sum of products without bias.
  @inline(__always)
  func finish(_ sum: Int, channel: Int) -> Int {
    clamp.limit(scales[channel].apply(sum &+ bias[channel]) &+ zero)
  }

  /// The bytes of stored outputs.
  func encode(_ values: [Int]) -> [UInt8] { TFLiteRuntime.encode(values, as: element) }
}
