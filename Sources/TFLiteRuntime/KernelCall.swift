import Containers
import TensorCore

/// Why a kernel cannot compute an operator.
struct KernelError: Error {
  /// One clause for the user.
  let reason: String
}

/// A tensor as a kernel sees it: its type and its bytes.
struct KernelTensor {
  /// Shape, element type, quantisation.
  let type: TFLiteTensor
  /// The content, dense and row-major.
  let bytes: [UInt8]

  /// A tensor with its content.
  init(_ type: TFLiteTensor, _ bytes: [UInt8]) {
    self.type = type
    self.bytes = bytes
  }

  /// Throws when the content is not of the type's size, as for tensors without a place in memory.
  func checkSize() throws(KernelError) {
    guard bytes.count == type.byteCount else {
      throw KernelError(reason: "tensor \(type.name) is \(type.type), which has no kernel here")
    }
  }

  /// Elements of integer or truth type, widened; throws for other types.
  func integers() throws(KernelError) -> [Int] {
    guard let element = type.type.element, element.isInteger || element == .bool else {
      throw KernelError(reason: "tensor \(type.name) holds no integers")
    }
    let count = bytes.count / element.byteCount
    return bytes.withUnsafeBytes { raw in
      func read<T: FixedWidthInteger>(_: T.Type) -> [Int] {
        (0..<count).map {
          Int(
            truncatingIfNeeded: raw.loadUnaligned(
              fromByteOffset: $0 * MemoryLayout<T>.size, as: T.self))
        }
      }
      return switch element {
      case .int8: read(Int8.self)
      case .uint8, .bool: read(UInt8.self)
      case .int16: read(Int16.self)
      case .uint16: read(UInt16.self)
      case .int32: read(Int32.self)
      case .uint32: read(UInt32.self)
      default: read(Int64.self)
      }
    }
  }

  /// Elements of float32 type.
  func floats() throws(KernelError) -> [Float] {
    guard type.type == .float32 else {
      throw KernelError(reason: "tensor \(type.name) holds no float32 numbers")
    }
    return bytes.withUnsafeBytes { raw in
      (0..<bytes.count / 4).map { raw.loadUnaligned(fromByteOffset: $0 * 4, as: Float.self) }
    }
  }
}

/// One operator with its inputs at hand.
struct KernelCall {
  /// The operator.
  let op: TFLiteOperator
  /// Its inputs; nil where left out.
  let inputs: [KernelTensor?]
  /// The types of its outputs.
  let outputs: [TFLiteTensor]

  /// Input `index`, which must be there.
  func input(_ index: Int) throws(KernelError) -> KernelTensor {
    guard index < inputs.count, let tensor = inputs[index] else {
      throw KernelError(reason: "input \(index) is missing")
    }
    return tensor
  }

  /// The type of output `index`, which must be there.
  func output(_ index: Int = 0) throws(KernelError) -> TFLiteTensor {
    guard index < outputs.count else { throw KernelError(reason: "output \(index) is missing") }
    return outputs[index]
  }

  /// Input `index`, nil where it is left out.
  func optionalInput(_ index: Int) -> KernelTensor? { index < inputs.count ? inputs[index] : nil }

  /// Computes the operator.
  func evaluate() throws(KernelError) -> KernelResult {
    guard case .builtin(let builtin) = op.code, let kernel = KernelTable.kernels[builtin] else {
      throw KernelError(reason: "no kernel is known for it")
    }
    for tensor in inputs { try tensor?.checkSize() }
    return try kernel(self)
  }
}

/// The bytes of integers in an element type; values out of range are cut to their low bits.
func encode(_ values: [Int], as element: ElementType) -> [UInt8] {
  let size = element.byteCount
  var bytes = [UInt8](repeating: 0, count: values.count * size)
  for (i, value) in values.enumerated() {
    for b in 0..<size { bytes[i * size + b] = UInt8(truncatingIfNeeded: value >> (8 * b)) }
  }
  return bytes
}
