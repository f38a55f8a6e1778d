import TensorCore

/// The integers that caches hold.
public struct CacheTypes: Hashable, Sendable {
  /// The type of keys and of values: `int8`, −127 … 127, or `int4`, −7 … 7.
  public var keys = ElementType.int8
  public var values = ElementType.int8
  /// Whether a bound on the divergence decides (``Quantizer/cheapest(of:weights:count:divergence:)``).
  public var isOpen = false

  /// Eight bits for both.
  public init() {}

  /// Types of so many bits, 8 or 4.
  public init(keyBits: Int, valueBits: Int) {
    keys = keyBits == 4 ? .int4 : .int8
    values = valueBits == 4 ? .int4 : .int8
  }

  /// Bits of a key and of a value.
  public var bits: (keys: Int, values: Int) { (keys == .int4 ? 4 : 8, values == .int4 ? 4 : 8) }

  /// Takes over an option of a recipe: `kv=4` or `kv=8` for both, `keys=` and `values=` for one, `kv=auto`.
  ///
  /// - Returns: whether it is one.
  mutating func apply(_ option: some StringProtocol) -> Bool {
    if option == Self.openOption {
      isOpen = true
      return true
    }
    let pair = option.split(separator: "=")
    guard pair.count == 2,
      let type = pair[1] == "4" ? ElementType.int4 : pair[1] == "8" ? .int8 : nil
    else { return false }
    switch pair[0] {
    case "kv": (keys, values) = (type, type)
    case "keys": keys = type
    case "values": values = type
    default: return false
    }
    isOpen = false
    return true
  }

  private static let openOption = "kv=auto"

  /// The options that name them, none for eight bits.
  var options: [String] {
    if isOpen { return [Self.openOption] }
    if keys == .int4, values == .int4 { return ["kv=4"] }
    return (keys == .int4 ? ["keys=4"] : []) + (values == .int4 ? ["values=4"] : [])
  }
}
