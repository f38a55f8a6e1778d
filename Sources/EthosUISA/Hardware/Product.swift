/// A generation of the NPU: it decides which commands exist and what their numbers mean.
public enum Product: UInt8, Sendable, Hashable, CaseIterable, CustomStringConvertible {
  /// Ethos-U55, 32-bit addresses.
  case u55 = 0
  /// Ethos-U65, 40-bit addresses, one or two cores.
  case u65 = 1
  /// Ethos-U85, 40-bit addresses, chaining, branches.
  case u85 = 2

  /// The product of a configuration word (bits 31 to 28); nil for numbers never assigned.
  public init?(configWord: UInt32) { self.init(rawValue: UInt8(configWord >> 28)) }

  /// The marketing name, such as `Ethos-U55`.
  public var description: String {
    switch self {
    case .u55: "Ethos-U55"
    case .u65: "Ethos-U65"
    case .u85: "Ethos-U85"
    }
  }

  /// Bits of an address or stride that hardware looks at.
  public var addressBits: Int { self == .u55 ? 32 : 40 }

  /// The value of the command-stream version field in the configuration word.
  public var streamVersion: UInt32 { self == .u85 ? 1 : 0 }

  /// What the id word of streams we write says: architecture 1.0.6 or 2.0.0, the oldest that runs
  /// everything we emit.
  public var streamID: IdentificationWord {
    IdentificationWord(rawValue: self == .u85 ? 0x2000_7000 : 0x1006_6001)
  }

  /// Kernels and transfers that may be unfinished while the parser goes on, and the largest block
  /// dependency.
  public var outstanding: (kernels: Int, transfers: Int, blockDependency: Int) {
    switch self {
    case .u55: (2, 1, 3)
    case .u65: (2, 2, 3)
    case .u85: (2, 4, 7)
    }
  }
}
