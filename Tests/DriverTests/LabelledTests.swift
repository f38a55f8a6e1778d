import Analysis
import Containers
import Foundation
import Importers
import Support
import TensorCore
import TestKit
import Testing

@testable import Driver

/// Accuracy of TFLite models on samples with labels.
@Suite(
  .serialized,
  .enabled(
    if: SharedData.exists("models/tflite/trained_lstm_int8.tflite"),
    "the shared models are absent"))
struct LabelledTests {
  private let network = SharedData.url("models/tflite/trained_lstm_int8.tflite").path

  init() { setenv("SWIFTLET_HOME", SharedData.checkout.path, 1) }

  private func array(
    _ scratch: Scratch, _ name: String, _ element: ElementType, _ shape: Shape, _ bytes: [UInt8]
  ) throws -> String {
    let path = scratch.path(name)
    try Data(try #require(NumpyArray.file(element, shape, bytes)))
      .write(to: URL(fileURLWithPath: path))
    return path
  }

  private func labels(_ scratch: Scratch, _ values: [Int32]) throws -> String {
    try array(
      scratch, "labels\(values.count).npy", .int32, [values.count],
      values.flatMap { value in withUnsafeBytes(of: value.littleEndian) { Array($0) } })
  }

  private func evaluation(
    _ samples: String, _ labels: String, limit: Int? = nil
  ) throws -> LabelledEvaluation {
    try LabelledEvaluation(
      network, samples: samples, labels: labels, maxCases: limit, baseline: nil, records: false)
  }

  /// The published accuracy, of the network and of what Arm's compiler makes of it; the same on any number of threads,
  /// and after a stop.
  @Test(
    .enabled(
      if: SharedData.exists("data/mnist5k/mnist_5k.csv.gz") && Oracle.has("ethosu.vela"),
      "the shared digits are absent, or ethos-u-vela (make setup)"))
  func digitsAreToldAsPublished() throws {
    let scratch = try Scratch()
    _ = try Oracle.run(
      "labelled_digits.py",
      [SharedData.url("data/mnist5k/mnist_5k.csv.gz").path, network, scratch.path("")])
    let (samples, labels) = (scratch.path("samples.npy"), scratch.path("labels.npy"))
    let plain = try evaluation(samples, labels)
      .run(workers: 2, checkpoint: nil, resume: false, quiet: true)
    #expect(plain.figures.right == 993 && plain.figures.cases == 1000)
    #expect(plain.wrong.count == 5)
    let compiled = try LabelledEvaluation(
      scratch.path("trained_lstm_int8_vela.tflite"), samples: samples, labels: labels,
      maxCases: nil, baseline: nil, records: false)
    let checkpoint = scratch.path("checkpoint")
    let found = try compiled.run(workers: 2, checkpoint: checkpoint, resume: false, quiet: true)
    #expect(found.figures == plain.figures)
    let lines = try String(contentsOfFile: checkpoint, encoding: .utf8)
      .split(separator: "\n", omittingEmptySubsequences: true)
    #expect(lines.count == 1001)
    try (lines[..<400].joined(separator: "\n") + "\n")
      .write(toFile: checkpoint, atomically: true, encoding: .utf8)
    let resumed = try compiled.run(workers: 1, checkpoint: checkpoint, resume: true, quiet: true)
    #expect(
      resumed.figures == found.figures && resumed.wrong.map(\.sample) == found.wrong.map(\.sample))

    // The gate holds it, and fails when labels say otherwise.
    let baseline = scratch.path("base.json")
    let command = ["evaluate", network, "--samples", samples, "--labels", labels]
    #expect(SwiftletTool.run(command + ["--baseline", baseline, "--record"]) == 0)
    #expect(SwiftletTool.run(["evaluate", network, "--baseline", baseline]) == 0)
    var worse = try Baseline.load(baseline)
    worse.figures[.top1]?.value = 0.999
    try worse.text().write(toFile: baseline, atomically: true, encoding: .utf8)
    #expect(
      SwiftletTool.run([
        "evaluate", network, "--baseline", baseline, "--junit", scratch.path("gate.xml"),
      ]) == 3)
    #expect(FileManager.default.fileExists(atPath: scratch.path("gate.xml")))
    #expect(SwiftletTool.run(command + ["--baseline", baseline, "--max-cases", "5"]) == 1)
  }

  @Test func samplesThatDoNotFitAreTold() throws {
    let scratch = try Scratch()
    let size = 28 * 28
    func code(_ samples: String, _ labels: String) throws -> String? {
      let error = #expect(throws: DiagnosticError.self) {
        try evaluation(samples, labels).run(
          workers: 1, checkpoint: nil, resume: false, quiet: true)
      }
      return error?.diagnostics.first?.code
    }
    let zeros = try array(
      scratch, "x.npy", .int8, [2, 28, 28], [UInt8](repeating: 0, count: 2 * size))
    let two = try labels(scratch, [3, 4])
    let result = try evaluation(zeros, two)
      .run(workers: 2, checkpoint: nil, resume: false, quiet: true)
    #expect(result.figures.cases == 2)
    #expect(
      try evaluation(zeros, two, limit: 1)
        .run(workers: 2, checkpoint: nil, resume: false, quiet: true).figures.cases == 1)
    #expect(try code(zeros, labels(scratch, [1, 2, 3])) == "evaluate.samples")
    #expect(try code(zeros, labels(scratch, [1, 10])) == "evaluate.samples")
    #expect(try code(zeros, zeros) == "evaluate.samples")
    #expect(try code(two, two) == "evaluate.samples")
    let wide = try array(
      scratch, "wide.npy", .int16, [2, 28, 28], [UInt8](repeating: 0, count: 4 * size))
    #expect(try code(wide, two) == "evaluate.samples")
    let reals = [Float](repeating: .nan, count: 2 * size).withUnsafeBytes { Array($0) }
    let bad = try array(scratch, "nan.npy", .float32, [2, 28, 28], reals)
    #expect(try code(bad, two) == "evaluate.samples")
    #expect(try code(scratch.path("absent.npy"), two) == "file.open")
    #expect(
      SwiftletTool.run(["evaluate", network, "--samples", zeros]) == 2)
    #expect(
      SwiftletTool.run([
        "evaluate", network, "--samples", zeros, "--labels", two, "--quant", "w8a8",
      ]) == 2)
    let error = #expect(throws: DiagnosticError.self) {
      try ModelPipeline(quiet: true).imported(network, ImportOptions())
    }
    #expect(error?.diagnostics.first?.wayOut?.contains("--samples") == true)
    #expect(
      SwiftletTool.run([
        "evaluate", network, "--samples", zeros, "--labels", two, "--text", two,
      ]) == 2)
  }
}
