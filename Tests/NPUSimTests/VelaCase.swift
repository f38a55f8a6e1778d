import Foundation
import Testing

@testable import NPUSim

/// A compiled model with inputs and expected outputs, as `Tests/Oracles/vela_cases.py` writes them.
///
/// `SWIFTLET_VELA_CASES` names the folders of cases, with colons between.
struct VelaCase: CustomTestStringConvertible {
  struct Tensor: Decodable {
    var offset: Int
    var bytes: Int
    var fill: UInt8?
  }

  private struct Description: Decodable {
    var arena: Int
    var fast: Int
    var inputs: [Tensor]
    var outputs: [Tensor]
    var variables: [Tensor]
    var runs: Int
    var keepsState: Bool?
  }

  let name: String
  let hardware: Hardware
  let payload: [UInt8]
  let constants: [UInt8]
  /// Bytes of the tensor arena and, when it is a memory of its own, of the fast scratch.
  let arena: Int
  let fast: Int
  let inputs: [Tensor]
  let outputs: [Tensor]
  let variables: [Tensor]
  let runs: Int
  /// Runs go on in one arena, which a job of its own sets up.
  let keepsState: Bool
  private let directory: URL

  var testDescription: String { name }

  static var folders: [String] {
    (ProcessInfo.processInfo.environment["SWIFTLET_VELA_CASES"] ?? "").split(separator: ":")
      .map(String.init)
  }

  /// Paths of all cases.
  static var paths: [String] {
    folders.flatMap { folder in
      let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
      return names.sorted().map { "\(folder)/\($0)" }.filter {
        FileManager.default.fileExists(atPath: "\($0)/case.json")
      }
    }
  }

  init(path: String) throws {
    directory = URL(fileURLWithPath: path)
    name = directory.lastPathComponent
    hardware = try #require(Self.hardware(name))
    func file(_ name: String) throws -> [UInt8] {
      [UInt8](try Data(contentsOf: URL(fileURLWithPath: path).appendingPathComponent(name)))
    }
    let meta = try JSONDecoder().decode(Description.self, from: Data(try file("case.json")))
    payload = try file("payload.bin")
    constants = try file("constants.bin")
    (arena, fast) = (meta.arena, meta.fast)
    (inputs, outputs, variables) = (meta.inputs, meta.outputs, meta.variables)
    runs = meta.runs
    keepsState = meta.keepsState ?? false
  }

  /// The accelerator at the end of a name.
  static func hardware(_ name: String) -> Hardware? {
    let end = String(name.reversed().prefix { $0.isNumber }.reversed())
    guard let macs = Int(end) else { return nil }
    if name.contains("u85-") { return .u85(macs: macs) }
    return name.contains("u65-") ? .u65(macs: macs) : .u55(macs: macs)
  }

  /// What output `i` of run `run` must be.
  func expected(_ run: Int, _ i: Int) throws -> [UInt8] {
    [UInt8](try Data(contentsOf: directory.appendingPathComponent("output\(run)_\(i).bin")))
  }

  /// Memory for a run, full of garbage but for inputs and state; the arena is region 1.
  func memory(_ run: Int, constants bank: MemoryBank) throws -> (map: MemoryMap, arena: MemoryBank)
  {
    var map = MemoryMap()
    map.bind(region: 0, to: bank)
    let arena = MemoryBank(name: "arena", count: arena, fill: 0xA5)
    map.bind(region: 1, to: arena)
    if fast > 0 { map.bind(region: 2, to: MemoryBank(name: "fast", count: fast, fill: 0x5A)) }
    try setInputs(run, arena)
    for state in variables {
      arena.write([UInt8](repeating: state.fill ?? 0, count: state.bytes), at: state.offset)
    }
    return (map, arena)
  }

  /// The job that sets the state: payload and constants.
  func start() throws -> (payload: [UInt8], constants: [UInt8]) {
    func file(_ name: String) throws -> [UInt8] {
      [UInt8](try Data(contentsOf: directory.appendingPathComponent(name)))
    }
    return (try file("start_payload.bin"), try file("start_constants.bin"))
  }

  /// Writes the inputs of a run.
  func setInputs(_ run: Int, _ arena: MemoryBank) throws {
    for (i, input) in inputs.enumerated() {
      let data = try Data(contentsOf: directory.appendingPathComponent("input\(run)_\(i).bin"))
      arena.write([UInt8](data), at: input.offset)
    }
  }
}
