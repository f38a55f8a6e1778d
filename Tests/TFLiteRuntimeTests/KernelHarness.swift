import Support
import TensorCore

@testable import Containers
@testable import TFLiteRuntime

/// Makes tensors and calls for tests of single kernels.
struct KernelHarness {
  var random: SplitMix64

  init(seed: UInt64) { random = SplitMix64(seed: seed) }

  /// A whole number from a range.
  mutating func int(_ range: ClosedRange<Int>) -> Int {
    range.lowerBound + Int(random.next() % UInt64(range.count))
  }

  /// A scale between 0.004 and 0.08.
  mutating func scale() -> Float { Float(0.004 + 0.076 * random.uniform()) }

  /// The type of a tensor with one scale.
  static func type(
    _ shape: [Int], _ type: TFLiteTensorType, scale: Float? = nil, zero: Int = 0
  ) -> TFLiteTensor {
    TFLiteTensor(
      name: "t", shape: Shape(shape), type: type,
      quantisation: scale.map { QuantParams(scale: $0, zeroPoint: Int32(zero)) }, buffer: 0,
      data: nil, isVariable: false)
  }

  /// A tensor of given integers.
  static func tensor(
    _ shape: [Int], _ type: TFLiteTensorType, _ values: [Int], scale: Float? = nil, zero: Int = 0
  ) -> KernelTensor {
    KernelTensor(
      Self.type(shape, type, scale: scale, zero: zero), encode(values, as: type.element ?? .int8))
  }

  /// A tensor of random integers of its type.
  mutating func tensor(
    _ shape: [Int], _ type: TFLiteTensorType, scale: Float? = nil, zero: Int = 0
  ) -> KernelTensor {
    let range = type.element?.integerRange ?? 0...1
    let values = (0..<shape.reduce(1, *)).map { _ in int(range) }
    return Self.tensor(shape, type, values, scale: scale, zero: zero)
  }

  /// Runs one operator with one output and gives its integers.
  static func run(
    _ builtin: TFLiteBuiltin, _ options: TFLiteOptions = .none, _ inputs: [KernelTensor?],
    to output: TFLiteTensor
  ) throws(KernelError) -> [Int] {
    let results = try call(builtin, options, inputs, to: [output]).evaluate().outputs
    return try KernelTensor(output, results.first ?? []).integers()
  }

  /// A call of one operator.
  static func call(
    _ builtin: TFLiteBuiltin, _ options: TFLiteOptions, _ inputs: [KernelTensor?],
    to outputs: [TFLiteTensor]
  ) -> KernelCall {
    KernelCall(
      op: TFLiteOperator(
        code: .builtin(builtin), inputs: inputs.map { $0 == nil ? nil : 0 },
        outputs: outputs.map { _ in 0 }, options: options, customOptions: ByteSource([]),
        intermediates: []),
      inputs: inputs, outputs: outputs)
  }

  /// The real numbers a tensor stands for.
  static func reals(_ tensor: KernelTensor) throws -> [Double] {
    let quantisation = tensor.type.quantisation
    let scale = Double(quantisation?.scale() ?? 1)
    let zero = Int(quantisation?.zeroPoint() ?? 0)
    return try tensor.integers().map { Double($0 - zero) * scale }
  }

  /// The stored value nearest to a real number, within the type.
  static func stored(_ real: Double, as type: TFLiteTensor) -> Double {
    let scale = Double(type.quantisation?.scale() ?? 1)
    let zero = Double(type.quantisation?.zeroPoint() ?? 0)
    let range = type.type.element?.integerRange ?? 0...0
    return min(max(real / scale + zero, Double(range.lowerBound)), Double(range.upperBound))
  }
}
