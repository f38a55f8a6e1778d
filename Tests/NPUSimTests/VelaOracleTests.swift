import Foundation
import Testing

@testable import NPUSim

private let velaCases = ProcessInfo.processInfo.environment["SWIFTLET_VELA_CASES"]

/// Streams of a released compiler for real models: outputs equal the interpreters of the original model.
///
/// `Tests/Oracles/vela_cases.py` makes the cases; `SWIFTLET_VELA_CASES` names their folder.
@Suite(.enabled(if: velaCases != nil)) struct VelaOracleTests {
  private struct Case: Decodable {
    struct Tensor: Decodable {
      var offset: Int
      var bytes: Int
      var fill: UInt8?
    }
    var arena: Int
    var fast: Int
    var inputs: [Tensor]
    var outputs: [Tensor]
    var variables: [Tensor]
    var runs: Int
  }

  static var cases: [String] {
    guard let folder = velaCases else { return [] }
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    return names.filter {
      FileManager.default.fileExists(atPath: "\(folder)/\($0)/case.json")
    }.sorted()
  }

  private func hardware(_ name: String) -> Hardware? {
    guard let macs = name.split(separator: "-").last.flatMap({ Int($0) }) else { return nil }
    if name.contains("u85") { return .u85(macs: macs) }
    return name.contains("u65") ? .u65(macs: macs) : .u55(macs: macs)
  }

  @Test(arguments: cases)
  func equalsTheOriginalModel(name: String) throws {
    let directory = URL(fileURLWithPath: try #require(velaCases)).appendingPathComponent(name)
    func file(_ name: String) throws -> [UInt8] {
      [UInt8](try Data(contentsOf: directory.appendingPathComponent(name)))
    }
    let meta = try JSONDecoder().decode(Case.self, from: Data(try file("case.json")))
    let payload = try file("payload.bin")
    var map = MemoryMap()
    map.bind(region: 0, to: MemoryBank(name: "constants", constant: try file("constants.bin")))
    var machine = Machine(hardware: try #require(hardware(name)), memory: map)
    for run in 0..<meta.runs {
      let arena = MemoryBank(name: "arena", count: meta.arena, fill: 0xA5)
      machine.memory.bind(region: 1, to: arena)
      if meta.fast > 0 {
        machine.memory.bind(
          region: 2, to: MemoryBank(name: "fast", count: meta.fast, fill: 0x5A))
      }
      for (i, input) in meta.inputs.enumerated() {
        arena.write(try file("input\(run)_\(i).bin"), at: input.offset)
      }
      for state in meta.variables {
        arena.write([UInt8](repeating: state.fill ?? 0, count: state.bytes), at: state.offset)
      }
      let clock = ContinuousClock()
      let start = clock.now
      let result = try payload.withUnsafeBytes { bytes in try machine.run(payload: bytes) }
      print(
        "\(name): \(result.kernels) kernels, \(result.operations) operations,", clock.now - start)
      #expect(result.hazards == [])
      for (i, output) in meta.outputs.enumerated() {
        let expected = try file("output\(run)_\(i).bin")
        let actual = arena.read(output.offset..<output.offset + output.bytes)
        let wrong = zip(actual, expected).enumerated().filter { $1.0 != $1.1 }
        #expect(
          wrong.isEmpty && actual.count == expected.count,
          "run \(run) output \(i): \(wrong.count) of \(expected.count) bytes differ")
        if let first = wrong.first {
          print(
            "\(name) run \(run) output \(i): \(wrong.count) of \(expected.count) bytes differ,",
            "first at \(first.offset): \(actual[first.offset...].prefix(8)), expected",
            "\(expected[first.offset...].prefix(8))")
        }
      }
    }
  }
}
