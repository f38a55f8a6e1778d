import Support

/// Reads numbers with units: `4MiB`, `400MHz`, `0.39GB/s`, `0x80000000`.
enum Quantity {
  /// A whole number, decimal or hexadecimal.
  static func integer(_ text: String) -> UInt64? {
    let plain = text.replacing("_", with: "")
    if plain.hasPrefix("0x") || plain.hasPrefix("0X") {
      return UInt64(plain.dropFirst(2), radix: 16)
    }
    return UInt64(plain)
  }

  /// A size in bytes: a whole number, or a number with B, KiB, MiB or GiB. Fractions must give whole
  /// bytes.
  static func bytes(_ text: String) -> Bytes? {
    if let plain = integer(text) { return Int(exactly: plain).map(Bytes.init) }
    for (suffix, factor) in [
      ("KiB", 1024.0), ("MiB", 1_048_576.0), ("GiB", 1_073_741_824.0), ("B", 1.0),
    ]
    where text.hasSuffix(suffix) {
      guard let number = number(text.dropLast(suffix.count)) else { return nil }
      return Int(exactly: number * factor).map(Bytes.init)
    }
    return nil
  }

  /// A frequency with Hz, kHz, MHz or GHz.
  static func hertz(_ text: String) -> Hertz? {
    for (suffix, factor) in [("kHz", 1e3), ("MHz", 1e6), ("GHz", 1e9), ("Hz", 1.0)]
    where text.hasSuffix(suffix) {
      return number(text.dropLast(suffix.count)).map { Hertz($0 * factor) }
    }
    return nil
  }

  /// A rate with B/s, kB/s, MB/s, GB/s, MiB/s or GiB/s.
  static func bandwidth(_ text: String) -> Bandwidth? {
    let units = [
      ("kB/s", 1e3), ("MB/s", 1e6), ("GB/s", 1e9), ("MiB/s", 1_048_576.0),
      ("GiB/s", 1_073_741_824.0), ("B/s", 1.0),
    ]
    for (suffix, factor) in units where text.hasSuffix(suffix) {
      return number(text.dropLast(suffix.count)).map { Bandwidth(bytesPerSecond: $0 * factor) }
    }
    return nil
  }

  private static func number(_ text: Substring) -> Double? {
    let trimmed = text.last == " " ? text.dropLast() : text
    guard let first = trimmed.first, first.isNumber, let value = Double(trimmed), value.isFinite
    else { return nil }
    return value
  }
}
