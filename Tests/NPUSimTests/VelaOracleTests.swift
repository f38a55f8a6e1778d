import Testing

@testable import NPUSim

/// Streams of a released compiler for real models: outputs equal the interpreters of the original model,
/// and no hazard is seen.
@Suite(.enabled(if: !VelaCase.folders.isEmpty)) struct VelaOracleTests {
  @Test(arguments: VelaCase.paths)
  func equalsTheOriginalModel(path: String) throws {
    let model = try VelaCase(path: path)
    let constants = MemoryBank(name: "constants", constant: model.constants)
    var machine = Machine(hardware: model.hardware, memory: MemoryMap())
    var (map, arena) = try model.memory(0, constants: constants)
    if model.keepsState {
      let (payload, bytes) = try model.start()
      machine.memory = map
      machine.memory.bind(region: 0, to: MemoryBank(name: "start", constant: bytes))
      let result = try payload.withUnsafeBytes { try machine.run(payload: $0) }
      #expect(result.hazards == [])
    }
    for run in 0..<model.runs {
      if !model.keepsState { (map, arena) = try model.memory(run, constants: constants) }
      try model.setInputs(run, arena)
      machine.memory = map
      let clock = ContinuousClock()
      let start = clock.now
      let result = try model.payload.withUnsafeBytes { try machine.run(payload: $0) }
      print(
        "\(model.name): \(result.kernels) kernels, \(result.operations) operations,",
        clock.now - start)
      #expect(result.hazards == [])
      for (i, output) in model.outputs.enumerated() {
        let expected = try model.expected(run, i)
        let actual = arena.read(output.offset..<output.offset + output.bytes)
        let wrong = zip(actual, expected).enumerated().filter { $1.0 != $1.1 }
        #expect(
          wrong.isEmpty && actual.count == expected.count,
          "run \(run) output \(i): \(wrong.count) of \(expected.count) bytes differ")
        if let first = wrong.first {
          print(
            "\(model.name) run \(run) output \(i): \(wrong.count) of \(expected.count) bytes differ,",
            "first at \(first.offset): \(actual[first.offset...].prefix(8)), expected",
            "\(expected[first.offset...].prefix(8))")
        }
      }
    }
  }
}
