import Containers
import Foundation
import Support
import TestKit
import Testing

@testable import TFLiteRuntime

/// Models whose tables were damaged run or say why not; they never trap or take memory without bound.
@Suite struct DamagedModelTests {
  @Test(
    .enabled(if: SharedData.exists("models/tflite")),
    arguments: ["hello_world_int8", "trained_lstm_int8", "micro_speech_quantized"])
  func plainModels(_ name: String) throws {
    let sample = [UInt8](
      try Data(contentsOf: SharedData.url("models/tflite/\(name).tflite")))
    var random = SplitMix64(seed: 77)
    var ran = 0
    var refused = 0
    for _ in 0..<600 {
      var bytes = sample
      for _ in 0..<Int.random(in: 1...4, using: &random) {
        // Tables lie at both ends of these files, weights in between.
        let span = min(bytes.count, 3000)
        let near = Int.random(in: 0..<span, using: &random)
        let at = Bool.random(using: &random) ? near : bytes.count - 1 - near
        bytes[at] = [0, 1, 2, 3, 4, 9, 16, 0x7F, 0x80, 0xFF].randomElement(using: &random) ?? 0
      }
      do throws(DiagnosticError) {
        let session = try TFLiteSession(TFLiteModel(ByteSource(bytes), name: "damaged"))
        for index in session.graph.inputs {
          let tensor = session.graph.tensors[index]
          try session.setInput(tensor.name, [UInt8](repeating: 7, count: tensor.byteCount ?? 0))
        }
        try session.run()
        ran += 1
      } catch {
        refused += 1
        #expect(error.diagnostics.first?.code.isEmpty == false)
      }
    }
    #expect(ran > 0 && refused > 0, "\(ran) ran, \(refused) refused")
  }
}
