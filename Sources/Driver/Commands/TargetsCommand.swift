import ArgumentParser
import Support
import TargetModel

/// `swiftlet targets`.
struct TargetsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "targets", abstract: "Lists the parts models can be compiled for.",
    discussion: "A name, or the path of a target file of your own, shows one in detail.")

  @Argument(help: "A target's name or file.")
  var name: String?

  @Flag(help: "Print one JSON object.")
  var json = false

  private struct Report: Encodable {
    struct Memory: Encodable {
      let name: String
      let kind: String
      let base: UInt64
      let bytes: Int
      let readBytesPerSecond: Double
      let readLatencyCycles: Int
      let port: Int
    }
    let name: String
    let summary: String
    let cpu: String
    let cpuHz: Double
    let npu: String
    let npuHz: Double
    let memories: [Memory]
    let placement: [String: [String]]

    init(_ target: Target) {
      name = target.name
      summary = target.summary
      cpu = target.cpu.core
      cpuHz = target.cpu.clock.value
      npu = target.npu.variant
      npuHz = target.npu.clock.value
      memories = target.memories.map {
        Memory(
          name: $0.name, kind: $0.kind.rawValue, base: $0.base, bytes: $0.size.count,
          readBytesPerSecond: $0.readBandwidth.bytesPerSecond,
          readLatencyCycles: $0.readLatency.count, port: $0.port)
      }
      placement = Dictionary(
        uniqueKeysWithValues: target.placement.map { ($0.key.rawValue, $0.value) })
    }
  }

  private struct Listing: Encodable {
    let targets: [Report]
  }

  func run() throws {
    if let name {
      let target = try TargetLibrary.find(name)
      if json { return try Console.json(Report(target)) }
      show(target)
      return
    }
    let targets = try TargetLibrary.all()
    if json { return try Console.json(Listing(targets: targets.map(Report.init))) }
    print(Console.table(targets.map { ($0.name, $0.summary) }))
  }

  private func show(_ target: Target) {
    print(target.summary)
    print(
      Console.table([
        ("cpu", "\(target.cpu.core), \(Int(target.cpu.clock.value / 1e6)) MHz"),
        ("npu", "\(target.npu.variant), \(Int(target.npu.clock.value / 1e6)) MHz"),
      ]))
    print("\nmemories")
    print(
      Console.table(
        target.memories.map { memory in
          (
            "  " + memory.name,
            "\(memory.kind.rawValue), \(Console.bytes(memory.size.count)) at 0x"
              + String(memory.base, radix: 16)
              + ", \(Int(memory.readBandwidth.bytesPerSecond / 1e6)) MB/s, "
              + "\(memory.readLatency.count) cycles, axi\(memory.port)"
          )
        }))
    print("\nplacement, best first")
    print(
      Console.table(
        Target.DataKind.allCases.map {
          ("  " + $0.rawValue, (target.placement[$0] ?? []).joined(separator: ", "))
        }))
  }
}
