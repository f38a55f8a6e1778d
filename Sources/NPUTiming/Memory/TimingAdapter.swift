import EthosUISA

/// The memories of Arm's evaluation images: what the timing adapter before each port enforces.
///
/// Source: Arm ML Evaluation Kit, CMake defaults of `timing_adapter` for Corstone-300, -310 and -320. The
/// memories of the FVPs and FPGA images behind the adapters answer at once.
public struct TimingAdapter: Sendable, Hashable {
  /// The SRAM side.
  public var sram: MemoryTiming
  /// Flash or DRAM.
  public var external: MemoryTiming

  /// The kit's settings for a configuration.
  public init(_ accelerator: Accelerator) {
    let beat = Microarchitecture(accelerator).beatBytes
    func memory(
      _ name: String, ports: Int, latency: (Int, Int), outstanding: (Int, Int), pulse: (Int, Int),
      beats: Int
    ) -> MemoryTiming {
      MemoryTiming(
        name: name, beatBytes: beat, ports: ports, readLatency: latency.0,
        writeLatency: latency.1, maximumReads: outstanding.0, maximumWrites: outstanding.1,
        pulseOn: pulse.0, pulseOff: pulse.1, beatsPerPulse: beats * ports)
    }
    let ports = accelerator.ports
    switch accelerator.product {
    case .u55:
      sram = memory(
        "SRAM", ports: 1, latency: (32, 32), outstanding: (8, 8), pulse: (3999, 1), beats: 4000)
      external = memory(
        "EXT", ports: 1, latency: (64, 0), outstanding: (2, 0), pulse: (320, 80), beats: 50)
    case .u65:
      sram = memory(
        "SRAM", ports: 1, latency: (32, 32), outstanding: (16, 16), pulse: (3999, 1), beats: 4000)
      external = memory(
        "EXT", ports: 1, latency: (500, 250), outstanding: (24, 12), pulse: (4000, 1000),
        beats: 1172)
    case .u85:
      let isLow = accelerator.macs <= 256
      let latency = isLow ? 16 : 32
      sram = memory(
        "SRAM", ports: ports.sram, latency: (latency, latency), outstanding: (8, 8),
        pulse: (3999, 1), beats: 4000)
      // The adapter's limit of 64 reads does not fit its field of six bits; the NPU keeps to 64.
      external =
        isLow
        ? memory(
          "EXT", ports: ports.external, latency: (250, 125), outstanding: (24, 12),
          pulse: (4000, 1000), beats: 2344)
        : memory(
          "EXT", ports: ports.external, latency: (500, 250), outstanding: (64, 32),
          pulse: (4000, 1000), beats: 3750)
    }
  }

  /// The clock in hertz that the kit's system configuration of a configuration names.
  public static func clock(of accelerator: Accelerator) -> Double {
    switch accelerator.product {
    case .u55: 500e6
    case .u65: 1e9
    case .u85: accelerator.macs <= 256 ? 500e6 : 1e9
    }
  }

  /// Where Vela's memory modes put the regions: 0 read-only data, 1 arena, 2 fast scratch.
  public enum MemoryMode: String, Sendable, Hashable, CaseIterable {
    case sramOnly = "Sram_Only"
    case sharedSRAM = "Shared_Sram"
    case dedicatedSRAM = "Dedicated_Sram"
  }

  /// The memory system of a mode. Command streams lie with the read-only data.
  public func system(_ mode: MemoryMode) -> MemorySystem {
    switch mode {
    case .sramOnly:
      MemorySystem(
        memories: [sram, external], regions: Array(repeating: 0, count: 8), streamMemory: 0)
    case .sharedSRAM:
      MemorySystem(
        memories: [sram, external], regions: [1, 0, 0, 0, 0, 0, 0, 0], streamMemory: 1)
    case .dedicatedSRAM:
      MemorySystem(
        memories: [sram, external], regions: [1, 1, 0, 1, 1, 1, 1, 1], streamMemory: 1)
    }
  }
}
