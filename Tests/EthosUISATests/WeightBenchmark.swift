import Foundation
import Support
import TestKit
import Testing

@testable import EthosUISA

/// Times the weight codec on one million weights of a linear layer, beside Arm's where it is installed. Run
/// it by `Tests/Benchmarks/codec.sh`.
enum WeightBenchmark {
  /// Processor seconds of some work, which other programs on the machine do not disturb.
  private static func processorTime(_ work: () throws -> Void) rethrows -> Double {
    let start = clock()
    try work()
    return Double(clock() - start) / Double(CLOCKS_PER_SEC)
  }

  /// One line a distribution: megaweights a second of ordering with encoding and of decoding, and the
  /// size against what Arm's two encoders need.
  static func run() throws -> [String] {
    var random = SplitMix64(seed: 1)
    return try [("int8", 127.0, 30.0), ("int8-peaky", 127, 12), ("int4", 7, 2.2)].map {
      name, limit, sigma in
      let side = 1024
      let weights = (0..<side * side).map { _ in
        Int8(max(-limit, min(limit, (random.normal() * sigma).rounded())))
      }
      let geometry = WeightGeometry(outputs: side, inputs: side, ofmBlockDepth: 64)
      return try weights.withUnsafeBufferPointer { weights in
        var stream: [UInt8] = []
        let encode = try processorTime {
          stream = try WeightStream.encode(weights, geometry: geometry)
        }
        let quick = try processorTime {
          _ = try WeightStream.encode(weights, geometry: geometry, effort: .quick)
        }
        var out = [Int8](repeating: 0, count: weights.count)
        let decode = try processorTime {
          try out.withUnsafeMutableBufferPointer {
            try WeightStream.decode(stream, geometry: geometry, into: $0)
          }
        }
        #expect(out.elementsEqual(weights))
        let arms = try WeightStream.encode(weights, geometry: geometry, profile: .conservative)
        func rate(_ seconds: Double) -> String {
          String(format: "%.0f", Double(weights.count) / seconds / 1e6)
        }
        let theirs = try armsCodec(weights, geometry: geometry)
        let ratio = String(format: "%.4f", Double(stream.count) / Double(arms.count))
        return
          "\(name): encode \(rate(encode)) M/s, quick \(rate(quick)) M/s, decode \(rate(decode)) M/s, "
          + "\(stream.count) bytes, \(ratio) of Arm's profile\(theirs)"
      }
    }
  }

  /// What Arm's `mlw_codec` does with the same weights in the hardware's order: rates and size. Its calls
  /// hand lists of Python's numbers over, which is part of its time.
  private static func armsCodec(
    _ weights: UnsafeBufferPointer<Int8>, geometry: WeightGeometry
  ) throws -> String {
    guard Oracle.has("ethosu.mlw_codec") else { return "" }
    let order = LinearWeightOrder(
      inputs: geometry.inputs, blockDepth: geometry.ofmBlockDepth, microblockDepth: 8, inputBits: 8)
    var ordered = [Int16](repeating: 0, count: order.paddedCount(outputs: geometry.outputs))
    ordered.withUnsafeMutableBufferPointer {
      order.reorder(weights, outputs: geometry.outputs, into: $0)
    }
    let file = FileManager.default.temporaryDirectory
      .appendingPathComponent("swiftlet-codec-\(ProcessInfo.processInfo.processIdentifier).i16")
    defer { try? FileManager.default.removeItem(at: file) }
    try ordered.withUnsafeBytes { Data($0) }.write(to: file)
    let line = try Oracle.run("weight_speed.py", [file.path])
    return "; Arm's mlw_codec: " + line.trimmingCharacters(in: .whitespacesAndNewlines)
  }
}

@Test(.enabled(if: ProcessInfo.processInfo.environment["SWIFTLET_BENCHMARK"] != nil))
func weightBenchmark() throws {
  for line in try WeightBenchmark.run() { print(line) }
}
