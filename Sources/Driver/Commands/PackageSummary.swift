import Foundation
import ProgramFormat

/// What a package is, from its manifest, as `compile` and `inspect` print it.
struct PackageSummary {
  /// The manifest.
  let manifest: Manifest

  /// The model, how it is quantised, and for which part.
  var title: String { "\(manifest.model.name), \(manifest.quant), for \(manifest.target)" }

  /// Where every region lies.
  var memoryMap: [(String, String)] {
    manifest.regions.filter { $0.bytes > 0 }.map {
      (
        $0.name,
        "\(Console.bytes($0.bytes)) in \($0.memory) at 0x" + String($0.address, radix: 16)
      )
    }
  }

  /// The estimate of the whole token: NPU and CPU cycles at their clocks, one after the other.
  var secondsPerToken: Double {
    let report = manifest.report
    return Double(report.decodeCycles) / manifest.npuClock
      + Double(report.decodeCPUCycles) / manifest.cpuClock
  }

  /// Tokens a second by that estimate.
  var tokensPerSecond: Double { secondsPerToken > 0 ? 1 / secondsPerToken : 0 }

  /// What it takes, and what a token and a prompt cost. `layout` says what passes left to move.
  func rows(layout: String? = nil) -> [(String, String)] {
    let report = manifest.report
    return [
      ("on-chip RAM", Console.bytes(report.sramPeakBytes)),
      ("read-only", Console.bytes(report.flashBytes)),
      (
        "weight streams",
        "\(Console.bytes(report.weightStreamBytes)), "
          + String(format: "%.2f bits a weight", report.bitsPerWeight)
      ),
    ] + tiers + table + caches + [
      (
        "a token",
        "\(manifest.jobs.count { $0.name == "decode" }) NPU job, \(report.cpuOps) CPU kernels"
      )
    ] + (layout.map { [("layout", $0)] } ?? []) + [
      ("a prompt", prompt),
      (
        "NPU cycles a token",
        "\(Console.count(report.decodeCycles)) estimated, bound \(Console.count(report.decodeBoundCycles))"
      ),
      (
        "bytes a token",
        (report.decodeTraffic ?? [:]).sorted { $0.key < $1.key }
          .map { "\(Console.bytes($0.value)) in \($0.key)" }.joined(separator: ", ")
      ),
      (
        "context",
        "\(manifest.model.context) tokens"
          + (manifest.position.prefixTokens > 0
            ? ", of which the prefix takes \(manifest.position.prefixTokens)" : "")
      ),
      (
        "tokens a second",
        String(format: "%.1f estimated, NPU and CPU", tokensPerSecond)
      ),
    ]
  }

  /// Where a token's weights are read from, when that is more than one memory.
  private var tiers: [(String, String)] {
    func place(_ region: Region) -> Manifest.RegionEntry? {
      manifest.regions.first { $0.index == region.rawValue }
    }
    let parts = [
      (manifest.report.residentBytes ?? 0, place(.params)),
      (place(.near)?.bytes ?? 0, place(.near)),
    ].compactMap { bytes, entry in
      bytes > 0 ? entry.map { "\(Console.bytes(bytes)) in \($0.memory)" } : nil
    }
    guard !parts.isEmpty, let others = place(.weights)?.memory else { return [] }
    return [("of them", parts.joined(separator: ", ") + ", the others in \(others)")]
  }

  private var table: [(String, String)] {
    let (bytes, isTooLarge) = manifest.position.embeddingRowBytes
      .multipliedReportingOverflow(by: manifest.model.vocabulary)
    return bytes > 0 && !isTooLarge ? [("embedding table", Console.bytes(bytes))] : []
  }

  private var caches: [(String, String)] {
    guard let caches = manifest.report.caches, caches.bytes > 0 else { return [] }
    let bits =
      caches.keyBits == caches.valueBits
      ? "\(caches.keyBits) bits" : "keys of \(caches.keyBits) bits, values of \(caches.valueBits)"
    return [("KV cache", "\(Console.bytes(caches.bytes)), \(bits)")]
  }

  private var prompt: String {
    let report = manifest.report
    guard let batch = manifest.entries.first(where: { $0.name == "prefill" })?.tokens else {
      return "token by token"
    }
    let share = 100 * Double(report.prefillCycles) / Double(max(batch * report.decodeCycles, 1))
    let near =
      report.nearCycles > 0
      ? " (\(Console.count(report.nearCycles)) within the first "
        + "\(manifest.position.nearPositions) positions)" : ""
    return
      "\(batch) tokens an NPU job of \(Console.count(report.prefillCycles)) cycles\(near), estimated: "
      + String(format: "%.0f %% of as many tokens one by one", share)
  }
}
