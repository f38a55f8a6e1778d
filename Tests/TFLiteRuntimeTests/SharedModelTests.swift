import Containers
import Support
import TFLiteRuntime
import TestKit
import Testing

/// Models compiled by Vela run from their file alone.
@Suite struct SharedModelTests {
  static let compiled = "models/timing/h3_conv1x1_12x3_c128__u85-256.tflite"

  @Test(.enabled(if: SharedData.exists(compiled))) func compiledModelRuns() throws {
    let file = try MappedFile(SharedData.url(Self.compiled).path)
    let session = try TFLiteSession(TFLiteModel(ByteSource(file), name: "compiled"))
    #expect(session.usesNPU)
    let input = session.graph.tensors[session.graph.inputs[0]]
    let count = try #require(input.byteCount)
    let bytes = [UInt8](repeating: 3, count: count)
    try session.setInput(input.name, bytes)
    try session.run()
    #expect(session.jobs.count == 1)
    #expect(session.jobs[0].result.hazards.isEmpty)
    #expect(Set(session.output(0)).count > 1)
    #expect(throws: DiagnosticError.self) { try session.setInput("nothing", bytes) }
    #expect(throws: DiagnosticError.self) { try session.setInput(input.name, [1]) }
  }
}
