/// The hardware facts of one Ethos-U configuration that execution depends on.
public struct Hardware: Sendable, Hashable {
  /// The generations.
  public enum Product: Sendable {
    case u55, u65, u85
  }

  /// The generation.
  public var product: Product
  /// Multiply-accumulates a cycle, all cores together.
  public var macs: Int
  /// Cores that split the OFM depth; on U85 the standard weight decoders.
  public var cores: Int
  /// KiB of SHRAM a core (U55, U65).
  public var shramBanks: Int
  /// Depth of the OFM micro-block (U55, U65); on U85 each operation chooses it.
  public var microblockDepth: Int

  /// Ethos-U55 with 32, 64, 128 or 256 MACs, `nil` for other numbers.
  public static func u55(macs: Int) -> Hardware? {
    guard let banks = [32: 16, 64: 16, 128: 24, 256: 48][macs] else { return nil }
    return Hardware(
      product: .u55, macs: macs, cores: 1, shramBanks: banks, microblockDepth: macs == 32 ? 4 : 8)
  }

  /// Ethos-U65 with 256 MACs in one core or 512 in two, `nil` for other numbers.
  public static func u65(macs: Int) -> Hardware? {
    guard macs == 256 || macs == 512 else { return nil }
    return Hardware(
      product: .u65, macs: macs, cores: macs / 256, shramBanks: 48, microblockDepth: 8)
  }

  /// Ethos-U85 with 128, 256, 512, 1024 or 2048 MACs, `nil` for other numbers.
  public static func u85(macs: Int) -> Hardware? {
    guard let decoders = [128: 1, 256: 1, 512: 2, 1024: 4, 2048: 4][macs] else { return nil }
    return Hardware(product: .u85, macs: macs, cores: decoders, shramBanks: 0, microblockDepth: 0)
  }

  /// Bytes of the internal memory that DMA and tables address.
  var internalBytes: Int { product == .u85 ? 2048 : shramBanks * 1024 }
  /// Where table slot 0 starts in it.
  var tableBase: Int { product == .u85 ? 0 : (shramBanks - 2) * 1024 }
  /// DMAs that may be unfinished at once, 1, 2 or 4.
  var outstandingTransfers: Int {
    switch product {
    case .u55: 1
    case .u65: 2
    case .u85: 4
    }
  }
  /// Kernels that may be unfinished at once.
  var outstandingKernels: Int { 2 }
  /// Largest BLOCKDEP.
  var maximumBlockDependency: Int { product == .u85 ? 7 : 3 }
  /// Whether kernels without a table use the table area as a buffer.
  var reusesTableArea: Bool { product != .u85 && shramBanks == 16 }
  /// Width of address registers.
  var addressBits: Int { product == .u55 ? 32 : 40 }
}
