/// A configuration of the Ethos-U55: how many multiply-accumulates a cycle, and what follows from it.
///
/// Figures: block-configuration specification, sections 1.1 and 3; config words: command-stream
/// specification, section 1.1.
public struct Accelerator: Sendable, Hashable {
  /// Multiply-accumulates a cycle.
  public let macs: Int
  /// OFM micro-block: height, width, depth.
  public let microblock: (height: Int, width: Int, depth: Int)
  /// SHRAM banks of 1 KiB.
  public let banks: Int
  /// Banks always kept for look-up tables.
  public let lutBanks: Int
  /// Bank granules of IFM buffers and of 32- and 40-bit accumulators.
  public let ifmGranule: Int
  public let accumulator32Granule: Int
  public let accumulator40Granule: Int
  /// The driver's configuration word.
  public let configWord: UInt32

  /// The driver's id word for streams of this generation (architecture 1.0.6).
  public var idWord: UInt32 { 0x1006_6001 }

  /// The name, such as `ethos-u55-128`.
  public var name: String { "ethos-u55-\(macs)" }

  /// All configurations we compile for.
  public static let all: [Accelerator] = [
    Accelerator(
      macs: 32, microblock: (1, 1, 4), banks: 16, lutBanks: 0, ifmGranule: 2,
      accumulator32Granule: 4, accumulator40Granule: 4, configWord: 0x1005),
    Accelerator(
      macs: 64, microblock: (1, 1, 8), banks: 16, lutBanks: 0, ifmGranule: 2,
      accumulator32Granule: 4, accumulator40Granule: 8, configWord: 0x1006),
    Accelerator(
      macs: 128, microblock: (1, 2, 8), banks: 24, lutBanks: 2, ifmGranule: 4,
      accumulator32Granule: 8, accumulator40Granule: 12, configWord: 0x1807),
    Accelerator(
      macs: 256, microblock: (2, 2, 8), banks: 48, lutBanks: 2, ifmGranule: 8,
      accumulator32Granule: 16, accumulator40Granule: 20, configWord: 0x3008),
  ]

  /// The configuration called `name`, such as `ethos-u55-256`; nil when we do not compile for it.
  public static func named(_ name: String) -> Accelerator? { all.first { $0.name == name } }

  private init(
    macs: Int, microblock: (Int, Int, Int), banks: Int, lutBanks: Int, ifmGranule: Int,
    accumulator32Granule: Int, accumulator40Granule: Int, configWord: UInt32
  ) {
    self.macs = macs
    self.microblock = (microblock.0, microblock.1, microblock.2)
    self.banks = banks
    self.lutBanks = lutBanks
    self.ifmGranule = ifmGranule
    self.accumulator32Granule = accumulator32Granule
    self.accumulator40Granule = accumulator40Granule
    self.configWord = configWord
  }

  /// Configurations are told apart by their size.
  public static func == (a: Accelerator, b: Accelerator) -> Bool { a.macs == b.macs }

  /// Hashes the size.
  public func hash(into hasher: inout Hasher) { hasher.combine(macs) }
}
