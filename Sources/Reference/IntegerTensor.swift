import TensorCore

/// The numbers of one value of an integer graph, row-major.
public enum IntegerTensor: Hashable, Sendable {
  case int8([Int8])
  case int16([Int16])
  case int32([Int32])

  /// How many there are.
  public var count: Int {
    switch self {
    case .int8(let values): values.count
    case .int16(let values): values.count
    case .int32(let values): values.count
    }
  }

  /// The element type.
  public var element: ElementType {
    switch self {
    case .int8: .int8
    case .int16: .int16
    case .int32: .int32
    }
  }

  /// One number.
  public subscript(index: Int) -> Int {
    switch self {
    case .int8(let values): Int(values[index])
    case .int16(let values): Int(values[index])
    case .int32(let values): Int(values[index])
    }
  }

  /// All numbers as 32-bit integers.
  public var widened: [Int32] {
    switch self {
    case .int8(let values): values.map(Int32.init)
    case .int16(let values): values.map(Int32.init)
    case .int32(let values): values
    }
  }

  /// The numbers as they lie in a little-endian memory.
  public var bytes: [UInt8] {
    switch self {
    case .int8(let values): values.map(UInt8.init(bitPattern:))
    case .int16(let values): values.map(\.littleEndian).withUnsafeBytes(Array.init)
    case .int32(let values): values.map(\.littleEndian).withUnsafeBytes(Array.init)
    }
  }

  /// The reals they stand for, by one scale.
  public func reals(scale: Float) -> [Float] {
    switch self {
    case .int8(let values): values.map { Float($0) * scale }
    case .int16(let values): values.map { Float($0) * scale }
    case .int32(let values): values.map { Float($0) * scale }
    }
  }
}
