/// A configuration of an Ethos-U: what its silicon has, in numbers.
public struct Accelerator: Sendable, Hashable, CustomStringConvertible {
  /// The generation.
  public let product: Product
  /// Multiply-accumulates of 8-bit values a cycle, all cores together.
  public let macs: Int
  /// Cores that share the work along the OFM depth (U65-512 has two).
  public let cores: Int
  /// OFM microblocks that can be chosen; U55 and U65 have exactly one.
  public let microblocks: [BlockShape]
  /// U55 and U65: the shared RAM of a core.
  public let sharedRAM: SharedRAM?
  /// U85: the internal memories.
  public let localRAMs: LocalRAMs?
  /// Standard weight decoders, which is the number of weight streams of an operation.
  public let weightDecoders: Int
  /// AXI ports to SRAM and to external memory (U55 and U65: M0 and M1).
  public let ports: AXIPorts
  /// The largest OFM block.
  public let blockLimit: BlockShape

  /// Numbers of AXI ports.
  public struct AXIPorts: Sendable, Hashable {
    /// Ports meant for SRAM.
    public let sram: Int
    /// Ports meant for flash or DRAM.
    public let external: Int
  }

  /// The configuration word of driver payloads and of the CONFIG register.
  public var configWord: UInt32 { configuration.rawValue }

  /// The configuration word with its fields.
  public var configuration: ConfigurationWord {
    ConfigurationWord(
      product: product, macs: macs, sharedRAMKiB: (sharedRAM?.banks ?? 0) * cores, ports: ports,
      weightDecoders: weightDecoders)
  }

  /// The id word of streams for this configuration.
  public var idWord: UInt32 { product.streamID.rawValue }

  /// The name that Arm's tools use, such as `ethos-u55-128`.
  public var name: String {
    switch product {
    case .u55: "ethos-u55-\(macs)"
    case .u65: "ethos-u65-\(macs)"
    case .u85: "ethos-u85-\(macs)"
    }
  }

  /// The name.
  public var description: String { name }

  /// Rows and columns of a kernel that one pass covers; larger kernels are cut.
  public static let subKernelLimit = 8

  /// Input channels that enter together.
  public static let ifmMicroblockDepth = 8

  /// The OFM microblock; on a U85 the first that can be chosen.
  public var microblock: BlockShape { microblocks.first ?? BlockShape(1, 1, 8) }

  /// Banks of the shared RAM of a core; 0 on a U85.
  public var banks: Int { sharedRAM?.banks ?? 0 }

  /// Banks always kept for look-up tables.
  public var lutBanks: Int { sharedRAM?.reservedTableBanks ?? 0 }

  /// Bank granule of IFM buffers of 8- and 16-bit elements.
  public var ifmGranule: Int { sharedRAM?.ifmGranule ?? 1 }

  /// Bank granule of 32-bit accumulators.
  public var accumulator32Granule: Int { sharedRAM?.accumulator32Granule ?? 1 }

  /// Bank granule of 40-bit accumulators.
  public var accumulator40Granule: Int { sharedRAM?.accumulator40Granule ?? 1 }

  /// The configuration called `name`, such as `ethos-u55-256`.
  public static func named(_ name: String) -> Accelerator? { all.first { $0.name == name } }

  /// The configuration of a CONFIG word: same product and size. Other fields are not compared,
  /// which is what drivers do with the RAM size.
  public init?(configWord: UInt32) {
    let word = ConfigurationWord(rawValue: configWord)
    guard let product = word.product, word.streamVersion == product.streamVersion,
      let known = Self.all.first(where: { $0.product == product && $0.macs == word.macs })
    else { return nil }
    self = known
  }

  /// A row of the table below.
  init(
    _ product: Product, _ macs: Int, cores: Int = 1, microblocks: [BlockShape],
    sharedRAM: SharedRAM? = nil, localRAMs: LocalRAMs? = nil, decoders: Int = 1,
    ports: AXIPorts, limit: BlockShape
  ) {
    self.product = product
    self.macs = macs
    self.cores = cores
    self.microblocks = microblocks
    self.sharedRAM = sharedRAM
    self.localRAMs = localRAMs
    weightDecoders = decoders
    self.ports = ports
    blockLimit = limit
  }

  /// Configurations are told apart by product and size.
  public static func == (a: Accelerator, b: Accelerator) -> Bool {
    a.product == b.product && a.macs == b.macs
  }

  /// Hashes product and size.
  public func hash(into hasher: inout Hasher) {
    hasher.combine(product)
    hasher.combine(macs)
  }
}
