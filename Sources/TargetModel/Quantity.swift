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

  /// An energy with pJ or nJ; `suffix` follows the unit, as in `pJ/B`.
  static func joules(_ text: String, suffix: String = "") -> Joules? {
    for (unit, factor) in [("pJ", 1e-12), ("nJ", 1e-9)] where text.hasSuffix(unit + suffix) {
      return number(text.dropLast(unit.count + suffix.count)).map { Joules($0 * factor) }
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

/// An amount of energy.
///
/// What events of an Ethos-U take is not public. The assumed values are of the order published for 22
/// to 28 nm: an 8-bit multiply-accumulate and a byte of on-chip SRAM after Horowitz (*Computing's Energy
/// Problem*, ISSCC 2014) scaled from 45 nm; embedded MRAM, external flash and RAM a magnitude above.
public struct Joules: Sendable, Hashable {
  /// The number of joules.
  public var value: Double

  /// An amount in joules.
  public init(_ value: Double) { self.value = value }

  /// One multiply-accumulate of a target that says nothing of it.
  public static let assumedMAC = Joules(0.3e-12)
  /// One cycle of a target that says nothing of it.
  public static let assumedCycle = Joules(5e-12)

  /// One byte of a memory of a target that says nothing of it.
  public static func assumedByte(_ kind: Target.Kind) -> Joules {
    Joules(kind.isOnChipRAM ? 1.25e-12 : 40e-12)
  }
}
