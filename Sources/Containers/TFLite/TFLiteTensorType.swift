import TensorCore

/// Element types of TFLite tensors, with the schema's numbers.
public enum TFLiteTensorType: Int8, Sendable, Hashable, CaseIterable {
  case float32 = 0
  case float16, int32, uint8, int64, string, bool, int16, complex64, int8, float64, complex128
  case uint64, resource, variant, uint32, uint16, int4, bfloat16

  /// The element type in memory; nil for those no operation of ours takes.
  public var element: ElementType? {
    switch self {
    case .float32: .float32
    case .float16: .float16
    case .bfloat16: .bfloat16
    case .int32: .int32
    case .uint8: .uint8
    case .int64: .int64
    case .bool: .bool
    case .int16: .int16
    case .int8: .int8
    case .uint32: .uint32
    case .uint16: .uint16
    // A resource is a number that names a variable.
    case .resource: .int32
    case .string, .complex64, .float64, .complex128, .uint64, .variant, .int4: nil
    }
  }
}
