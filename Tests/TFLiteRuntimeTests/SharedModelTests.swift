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

  /// Plain models on the CPU kernels. The checksums are of outputs that equalled TFLite Micro's (for the
  /// uint8 model LiteRT's) bit for bit; `make oracle` compares them anew.
  @Test(
    .enabled(if: SharedData.exists("models/tflite")),
    arguments: [
      ("dtln_noise_suppression", 2_473_522_955), ("hello_world_int8", 2_331_317_010),
      ("kws_ref_model", 3_255_541_074),
      ("micro_speech_quantized", 3_385_025_340), ("mobilenet_v2_1.0_224_quant", 3_472_022_320),
      ("okay_nabu", 1_104_745_215),
      ("person_detect", 2_513_699_717), ("pretrainedResnet_quant", 3_803_245_379),
      ("trained_lstm_int8", 4_050_868_755),
    ] as [(String, UInt32)])
  func plainModel(_ name: String, checksum: UInt32) throws {
    let file = try MappedFile(SharedData.url("models/tflite/\(name).tflite").path)
    let session = try TFLiteSession(TFLiteModel(ByteSource(file), name: name))
    #expect(!session.usesNPU)
    var random = SplitMix64(seed: 2026)
    var crc = CRC32()
    // Twice, so that what lives on between runs counts.
    for _ in 0..<2 {
      for index in session.graph.inputs {
        let tensor = session.graph.tensors[index]
        let count = try #require(tensor.byteCount)
        try session.setInput(
          tensor.name, (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next() >> 56) })
      }
      try session.run()
      for index in session.graph.outputs.indices { crc.update(session.output(index)) }
    }
    #expect(crc.value == checksum, "\(name)")
  }
}
