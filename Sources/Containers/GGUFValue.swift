/// A metadata value of a GGUF file. Arrays of numbers and strings are kept compact.
public enum GGUFValue: Sendable, Hashable {
  case unsigned(UInt64)
  case signed(Int64)
  case real(Double)
  case bool(Bool)
  case string(String)
  case integers([Int64])
  case reals([Float])
  case bools([Bool])
  case strings([String])
  /// An array of arrays.
  case arrays([GGUFValue])

  /// The integer, when it is one that fits.
  public var int: Int? {
    switch self {
    case .unsigned(let value): Int(exactly: value)
    case .signed(let value): Int(exactly: value)
    default: nil
    }
  }

  /// The real number; integers count.
  public var double: Double? {
    switch self {
    case .real(let value): value
    case .unsigned(let value): Double(value)
    case .signed(let value): Double(value)
    default: nil
    }
  }
}
