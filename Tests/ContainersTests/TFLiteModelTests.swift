import Foundation
import Support
import TestKit
import Testing

@testable import Containers

/// Shared models parse to what their makers document; Vela's output gives its parts.
@Suite struct TFLiteModelTests {
  static let keyword = "models/tflite/kws_ref_model.tflite"
  static let wakeWord = "models/tflite/okay_nabu.tflite"
  static let compiled = "models/timing/h3_conv1x1_12x3_c128__u85-256.tflite"

  static func model(_ path: String) throws -> TFLiteModel {
    try TFLiteModel(ByteSource(try MappedFile(SharedData.url(path).path)), name: path)
  }

  @Test(.enabled(if: SharedData.exists(keyword))) func keywordSpotting() throws {
    let graph = try Self.model(Self.keyword).subgraphs[0]
    #expect(graph.operators.count == 13)
    #expect(graph.operators[0].code == .builtin(.conv2d))
    #expect(graph.tensors[graph.inputs[0]].shape == [1, 49, 10, 1])
    #expect(graph.tensors[graph.outputs[0]].type == .int8)
    guard case .convolution(let window) = graph.operators[0].options else {
      Issue.record("the first operator's options are \(graph.operators[0].options)")
      return
    }
    #expect(window.strideHeight == 2 && window.strideWidth == 2 && window.padding == .same)
    let second = try #require(graph.operators[0].inputs[1])
    let weights = graph.tensors[second]
    #expect(weights.data?.count == weights.byteCount)
    #expect(weights.quantisation?.scales.count == weights.shape[0])
  }

  @Test(.enabled(if: SharedData.exists(wakeWord))) func variables() throws {
    let model = try Self.model(Self.wakeWord)
    #expect(model.subgraphs.count == 2)
    #expect(model.subgraphs[0].operators.contains { $0.options == .callOnce(subgraph: 1) })
    let names = model.subgraphs[0].operators.compactMap {
      if case .variable(_, let name) = $0.options { name } else { nil }
    }
    #expect(Set(names).count == 6)
  }

  @Test(.enabled(if: SharedData.exists(compiled))) func compiledByVela() throws {
    let model = try Self.model(Self.compiled)
    let graph = model.subgraphs[0]
    let op = try #require(graph.operators.first)
    #expect(op.code == TFLiteOperator.ethosU)
    let first = try #require(op.inputs[0])
    let payload = try #require(graph.tensors[first].data)
    #expect(payload.withBytes { $0.starts(with: Array("COP1".utf8)) })
    let plan = try #require(try model.offlineMemoryPlan())
    #expect(plan.offsets[0].count == graph.tensors.count)
    #expect(plan.offsets[0][graph.inputs[0]] != nil)
  }

  @Test(.enabled(if: SharedData.exists("models/tflite"))) func everySharedModel() throws {
    for folder in ["models/tflite", "models/timing"] where SharedData.exists(folder) {
      let files = try FileManager.default.contentsOfDirectory(atPath: SharedData.url(folder).path)
      for file in files where file.hasSuffix(".tflite") {
        #expect(try !Self.model("\(folder)/\(file)").subgraphs[0].operators.isEmpty)
      }
    }
  }

  @Test func otherFilesAreRefused() {
    for bytes in [[], [UInt8](repeating: 0, count: 7), Array("GGUF0000TFL3".utf8)] {
      #expect(throws: DiagnosticError.self) { try TFLiteModel(ByteSource(bytes), name: "x") }
    }
  }

  /// Truncation, flipped bytes and offsets that point elsewhere: a value or an error, in bounded memory.
  @Test(
    .enabled(if: SharedData.exists(compiled)),
    arguments: [compiled, "models/tflite/hello_world_int8.tflite"])
  func damaged(path: String) throws {
    let sample = [UInt8](try Data(contentsOf: SharedData.url(path)))
    var rng = SplitMix64(seed: 11)
    let before = FuzzTests.residentKilobytes()
    var refused = 0
    for round in 0..<4000 {
      var bytes = sample
      switch round % 4 {
      case 0: bytes.removeLast(Int.random(in: 1...bytes.count, using: &rng))
      case 1:
        for _ in 0..<Int.random(in: 1...16, using: &rng) {
          bytes[Int.random(in: 0..<bytes.count, using: &rng)] = UInt8.random(
            in: 0...255, using: &rng)
        }
      case 2:
        // An offset field that leads back, forward, or nowhere.
        let at = Int.random(in: 0..<bytes.count / 4, using: &rng) * 4
        let value = UInt32(
          truncatingIfNeeded: Int.random(in: -bytes.count...bytes.count, using: &rng))
        for i in 0..<min(4, bytes.count - at) {
          bytes[at + i] = UInt8(value >> (8 * UInt32(i)) & 255)
        }
      default:
        // The tables live in a few hundred bytes; hit them hard.
        for _ in 0..<8 {
          let span = min(bytes.count, 2048)
          bytes[Int.random(in: 0..<span, using: &rng)] = UInt8.random(in: 0...255, using: &rng)
        }
      }
      do throws(DiagnosticError) {
        let model = try TFLiteModel(ByteSource(bytes), name: "fuzz")
        _ = try model.offlineMemoryPlan()
      } catch {
        refused += 1
        #expect(error.diagnostics.first?.code.hasPrefix("tflite.") == true)
      }
    }
    #expect(refused > 500)
    #expect(FuzzTests.residentKilobytes() - before < 200_000)
  }
}
