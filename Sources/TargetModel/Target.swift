import Support

/// A part that a model is compiled for: core, NPU, memories, and what may live where.
///
/// Loaded from `Targets/*.yaml`; `Docs/TargetFiles.md` describes the format.
public struct Target: Sendable, Hashable {
  /// The name used on the command line, such as `alif-e7-hp`.
  public var name: String
  /// One line for listings.
  public var summary: String
  /// The CPU that runs the device runtime.
  public var cpu: CPU
  /// The NPU.
  public var npu: NPU
  /// The memories.
  public var memories: [Memory]
  /// For each kind of data, the memories it may live in, best first.
  public var placement: [DataKind: [String]]

  /// A processor core.
  public struct CPU: Sendable, Hashable {
    /// Such as `cortex-m55`.
    public var core: String
    /// Its clock.
    public var clock: Hertz
  }

  /// The NPU and its variants.
  public struct NPU: Sendable, Hashable {
    /// Such as `ethos-u55-128`.
    public var variant: String
    /// Its clock.
    public var clock: Hertz
    /// What one 8-bit multiply-accumulate takes with its share of the datapath.
    public var macEnergy = Joules.assumedMAC
    /// What one cycle with the NPU on takes, whatever it does.
    public var cycleEnergy = Joules.assumedCycle
  }

  /// One memory.
  public struct Memory: Sendable, Hashable {
    /// The name placement refers to.
    public var name: String
    /// The technology, which decides whether it is writable.
    public var kind: Kind
    /// The address the NPU sees.
    public var base: UInt64
    /// Bytes a model may use.
    public var size: Bytes
    /// Sustained read rate as the NPU sees it.
    public var readBandwidth: Bandwidth
    /// Sustained write rate; zero for read-only memories.
    public var writeBandwidth: Bandwidth
    /// Cycles of the NPU's clock from a read request to its first data.
    public var readLatency: Cycles
    /// Cycles of the NPU's clock until a write is taken.
    public var writeLatency: Cycles
    /// Reads and writes it may have unanswered at once; nil where nobody says.
    public var maximumReads: Int?
    public var maximumWrites: Int?
    /// Bytes of one burst.
    public var burst: Bytes
    /// The NPU's AXI port that reaches it, 0 or 1.
    public var port: Int
    /// What one byte to or from it takes.
    public var byteEnergy: Joules
  }

  /// Memory technologies.
  public enum Kind: String, Sendable, Hashable, CaseIterable {
    case sram, tcm, dram, mram, flash

    /// Whether programs can write it at run time.
    public var isWritable: Bool { self == .sram || self == .tcm || self == .dram }
    /// Whether it counts as on-chip working memory in reports.
    public var isOnChipRAM: Bool { self == .sram || self == .tcm }
  }

  /// What is placed.
  public enum DataKind: String, Sendable, Hashable, CaseIterable {
    /// Encoded weights.
    case weights
    /// Tables the CPU reads.
    case params
    /// Activations, and weight slices on their way to the NPU.
    case arena
    /// KV caches.
    case state

    /// Whether the data changes at run time.
    public var isWritten: Bool { self != .weights && self != .params }
  }

  /// The memory called `name`.
  public func memory(_ name: String) -> Memory? { memories.first { $0.name == name } }

  /// The memories a kind of data may live in, best first.
  public func candidates(for kind: DataKind) -> [Memory] {
    (placement[kind] ?? []).compactMap(memory)
  }
}
