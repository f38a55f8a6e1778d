/// The configuration word of a driver payload; the CONFIG register at 0x28 has the same layout.
public struct ConfigurationWord: Sendable, Hashable {
  /// The word.
  public let rawValue: UInt32

  /// Any word, also one that no hardware has.
  public init(rawValue: UInt32) { self.rawValue = rawValue }

  /// The word of a configuration: sizes must be powers of two.
  init(
    product: Product, macs: Int, sharedRAMKiB: Int, ports: Accelerator.AXIPorts,
    weightDecoders: Int
  ) {
    func log2(_ value: Int) -> UInt32 { UInt32(truncatingIfNeeded: value.trailingZeroBitCount) }
    var word = UInt32(product.rawValue) << 28 | product.streamVersion << 4 | log2(macs)
    if product == .u85 {
      word |= log2(ports.sram) << 8 | log2(ports.external) << 10 | log2(weightDecoders) << 12
    } else {
      word |= UInt32(truncatingIfNeeded: sharedRAMKiB & 255) << 8
    }
    rawValue = word
  }

  /// The product; nil for an unknown number.
  public var product: Product? { Product(configWord: rawValue) }

  /// Multiply-accumulates a cycle.
  public var macs: Int { 1 << Int(rawValue & 15) }

  /// The version of the command stream: 0 for U55 and U65, 1 for U85.
  public var streamVersion: UInt32 { rawValue >> 4 & 15 }

  /// U55, U65: shared RAM of all cores in KiB.
  public var sharedRAMKiB: Int { Int(rawValue >> 8 & 255) }

  /// U85: AXI ports.
  public var ports: Accelerator.AXIPorts {
    Accelerator.AXIPorts(sram: 1 << Int(rawValue >> 8 & 3), external: 1 << Int(rawValue >> 10 & 1))
  }

  /// U85: standard weight decoders.
  public var weightDecoders: Int { 1 << Int(rawValue >> 12 & 3) }

  /// Whether the part has, or the stream wants, a licensee's own DMA.
  public var hasCustomDMA: Bool { rawValue >> 27 & 1 == 1 }
}
