/// The type of one tensor element.
public enum ElementType: String, Sendable, Hashable, CaseIterable {
  case bool
  case int4, int8, uint8, int16, uint16, int32, uint32, int64
  case float16, bfloat16, float32

  /// Bytes of one element in memory. Numbers of four bits have a byte each, but for a program's caches and embedding
  /// table, where two share one.
  public var byteCount: Int {
    switch self {
    case .bool, .int4, .int8, .uint8: 1
    case .int16, .uint16, .float16, .bfloat16: 2
    case .int32, .uint32, .float32: 4
    case .int64: 8
    }
  }

  /// Whether values are whole numbers.
  public var isInteger: Bool {
    switch self {
    case .float16, .bfloat16, .float32, .bool: false
    default: true
    }
  }

  /// The values an integer type can hold; nil for the others and for 64 bit.
  public var integerRange: ClosedRange<Int>? {
    switch self {
    case .int4: -8...7
    case .int8: -128...127
    case .uint8: 0...255
    case .int16: -32768...32767
    case .uint16: 0...65535
    case .int32: Int(Int32.min)...Int(Int32.max)
    case .uint32: 0...Int(UInt32.max)
    case .bool, .int64, .float16, .bfloat16, .float32: nil
    }
  }

  /// The largest magnitude of numbers symmetric around zero in caches and tables; nil for types they do not have.
  public var symmetricLimit: Int? {
    self == .int8 ? 127 : self == .int4 ? 7 : nil
  }
}
