/// The shared RAM of one U55 or U65 core and the granules in which buffers are cut from it.
///
/// All figures are banks of 1 KiB.
public struct SharedRAM: Sendable, Hashable {
  /// Bytes of a bank.
  public static let bankBytes = 1024
  /// Banks at the start that hold finished output.
  public static let outputBanks = 2
  /// Banks at the end that hold look-up tables when an operation uses any.
  public static let tableBanks = 2

  /// Banks of one core.
  public let banks: Int
  /// Banks always kept for look-up tables: without them an operation overwrites the tables.
  public let reservedTableBanks: Int
  /// Granule of IFM buffers of 8- and 16-bit elements.
  public let ifmGranule: Int
  /// Granule of IFM buffers of 32-bit elements.
  public let ifm32Granule: Int
  /// Granule of 16-bit accumulators (no known compiler uses them).
  public let accumulator16Granule: Int
  /// Granule of 32-bit accumulators.
  public let accumulator32Granule: Int
  /// Granule of 40-bit accumulators.
  public let accumulator40Granule: Int

  /// Bytes of one core's RAM.
  public var bytes: Int { banks * Self.bankBytes }

  /// Byte offset of look-up table slot 0; a slot is 256 bytes, there are eight.
  public var tableOffset: Int { (banks - Self.tableBanks) * Self.bankBytes }

  /// The granule of IFM buffers of `bits`-wide elements.
  public func ifmGranule(bits: Int) -> Int { bits == 32 ? ifm32Granule : ifmGranule }
}
