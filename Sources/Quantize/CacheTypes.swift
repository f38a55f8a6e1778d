import TensorCore

/// The integers that caches hold.
public struct CacheTypes: Hashable, Sendable {
  /// The type of keys and of values: `int8`, −127 … 127, or `int4`, −7 … 7.
  public var keys = ElementType.int8
  public var values = ElementType.int8

  /// Eight bits for both.
  public init() {}

  /// Takes over an option of a recipe: `kv=4` or `kv=8` for both, `keys=` and `values=` for one.
  ///
  /// - Returns: whether it is one.
  mutating func apply(_ option: some StringProtocol) -> Bool {
    let pair = option.split(separator: "=")
    guard pair.count == 2, let type = pair[1] == "4" ? ElementType.int4 : pair[1] == "8" ? .int8 : nil
    else { return false }
    switch pair[0] {
    case "kv": (keys, values) = (type, type)
    case "keys": keys = type
    case "values": values = type
    default: return false
    }
    return true
  }

  /// The options that name them, none for eight bits.
  var options: [String] {
    if keys == .int4, values == .int4 { return ["kv=4"] }
    return (keys == .int4 ? ["keys=4"] : []) + (values == .int4 ? ["values=4"] : [])
  }
}
