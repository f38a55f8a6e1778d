import NPUTiming

/// Reads what a measurement says of its timing adapter.
///
/// Understood: nothing or `on…` for the kit's defaults, `off`, and changes such as `EXT latency 0`,
/// `EXT read latency 500`, `EXT write latency 125`, `EXT BWCAP 25`, `EXT max outstanding reads 4`,
/// `SRAM latency 0`, `SRAM BWCAP 2000`.
enum AdapterText {
  /// Cycles of a pulse period that were over when jobs started in runs with changed settings.
  ///
  /// Inferred: eleven published single operators end just after cycle 2,756, none between 1,758 and it.
  /// With the defaults they end just after 5,000.
  static let changedPhase = 2244

  /// The adapter after the changes of a text.
  static func apply(_ text: String, to adapter: TimingAdapter) -> TimingAdapter {
    var adapter = adapter
    if text.split(whereSeparator: { " ,".contains($0) }).first == "off" {
      open(&adapter.sram)
      open(&adapter.external)
      return adapter
    }
    var isChanged = false
    for part in text.split(separator: ",") {
      let words = part.split(separator: " ").map { $0.lowercased() }
      guard let side = words.first, side == "ext" || side == "sram",
        let value = words.lazy.compactMap({ Int($0) }).first
      else { continue }
      isChanged = true
      func change(_ memory: inout MemoryTiming) {
        if words.contains("latency") {
          if !words.contains("write") { memory.readLatency = value }
          if words.contains("write") {
            memory.writeLatency = value
          } else if !words.contains("read") {
            memory.writeLatency = value / (side == "ext" ? 2 : 1)
          }
        } else if words.contains("bwcap") {
          memory.beatsPerPulse = value * memory.ports
        } else if words.contains("outstanding") {
          memory.maximumReads = value
        }
      }
      if side == "ext" { change(&adapter.external) } else { change(&adapter.sram) }
    }
    if isChanged { adapter.external.pulsePhase = changedPhase }
    return adapter
  }

  private static func open(_ memory: inout MemoryTiming) {
    memory.readLatency = 0
    memory.writeLatency = 0
    memory.pulseOff = 0
    memory.beatsPerPulse = 0
  }
}
