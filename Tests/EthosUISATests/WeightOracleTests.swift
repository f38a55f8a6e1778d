import Foundation
import Support
import TestKit
import Testing

@testable import EthosUISA

/// Weights of many kinds, as the hardware orders them.
private func samples() -> [(name: String, weights: [Int16])] {
  var random = SplitMix64(seed: 11)
  var result: [(String, [Int16])] = []
  func gaussian(_ count: Int, _ sigma: Double, limit: Int = 127, zeros: Double = 0) -> [Int16] {
    (0..<count).map { _ in
      if random.uniform() < zeros { return 0 }
      return Int16(max(-limit, min(limit, Int((random.normal() * sigma).rounded()))))
    }
  }
  for sigma in [0.6, 1.5, 3.0, 6.0, 12.0, 20.0, 32.0, 60.0] {
    result.append(("gauss-\(sigma)", gaussian(20_000, sigma)))
  }
  result.append(("grid-7", gaussian(20_000, 2.5, limit: 7)))
  result.append(("grid-11", gaussian(20_000, 4, limit: 11)))
  for share in [0.5, 0.8, 0.95, 0.999] {
    result.append(("sparse-\(share)", gaussian(40_000, 20, zeros: share)))
  }
  result.append(("wide", gaussian(5_000, 90, limit: 255)))
  result.append(("long", gaussian(120_000, 25)))
  result.append(("zeros", [Int16](repeating: 0, count: 5_000)))
  result.append(("ones", [Int16](repeating: 1, count: 5_000)))
  result.append(("two", (0..<500).map { $0 % 2 == 0 ? 5 : -9 }))
  result.append(("single", [-255]))
  result.append(("single-zero", [0]))
  result.append(("uniform", (0..<30_000).map { _ in Int16(random.next() % 255) - 127 }))
  for count in [2, 7, 11, 12, 13, 24, 25, 31] {
    result.append(("short-\(count)", gaussian(count, 30)))
  }
  for seed in 0..<40 {
    let count = 1 + Int(random.next() % 3000)
    let sigma = exp(random.uniform() * 5 - 1)
    result.append(
      ("random-\(seed)", gaussian(count, sigma, limit: 255, zeros: random.uniform() * 0.9)))
  }
  return result
}

@Test(
  .enabled(
    if: Oracle.has("ethosu.mlw_codec"),
    "needs ethos-u-vela in .venv (make setup)"))
func armsCodecDecodesOurStreams() throws {
  let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
    "swiftlet-weights-\(ProcessInfo.processInfo.processIdentifier)")
  try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
  defer { try? FileManager.default.removeItem(at: folder) }
  let all = samples()
  for sample in all {
    let stream = sample.weights.withUnsafeBufferPointer { StandardWeightEncoder.encode($0) }
    let place = folder.appendingPathComponent(sample.name)
    try sample.weights.withUnsafeBytes { Data($0) }
      .write(to: place.appendingPathExtension("weights"))
    try Data(stream).write(to: place.appendingPathExtension("stream"))
  }
  // Streams with a place for each weight: Arm's decoder reads them too, for what they are good at is not size.
  let raw = rawSamples()
  for (index, (weights, stream)) in raw.enumerated() {
    let place = folder.appendingPathComponent("raw\(index)")
    try weights.withUnsafeBytes { Data($0) }.write(to: place.appendingPathExtension("weights"))
    try Data(stream).write(to: place.appendingPathExtension("stream"))
  }
  let decoded = try Oracle.run("weight_streams.py", [folder.path]).split(separator: "\n")
  #expect(decoded.count == all.count + raw.count)
  let rows = decoded.filter { !$0.hasPrefix("raw") }
  var ours = 0
  var arms = 0
  for row in rows {
    let parts = row.split(separator: " ")
    let size = try #require(Int(parts[parts.count - 2]))
    let arm = try #require(Int(parts[parts.count - 1]))
    #expect(size <= arm, "\(parts[0]): \(size) bytes, Arm's encoder \(arm)")
    ours += size
    arms += arm
  }
  #expect(ours < arms)
}

/// Streams whose weights were written one by one: the standard decoder's first weights are zero, and no weight is
/// −128.
private func rawSamples(isFast: Bool = false) -> [(weights: [Int16], stream: [UInt8])] {
  var random = SplitMix64(seed: 8)
  return [8, 4].flatMap { bits in
    [2, 4, 16, 48, 64, 1000, 32766, 32768].map { count in
      let form = RawWeightStream(bits: bits, isFast: isFast)
      var stream = form.bytes(count: count)
      var weights = [Int16](repeating: 0, count: count)
      for index in (isFast ? 0 : form.weightsPerByte)..<count {
        let weight = Int(random.next() % UInt64(2 * form.limit + 1)) - form.limit
        weights[index] = Int16(weight)
        let place = form.start + index
        let isSecond = place % form.weightsPerByte == 1
        stream[place / form.weightsPerByte] |= form.code(of: Int8(weight)) << (isSecond ? 4 : 0)
      }
      return (weights, stream)
    }
  }
}

@Test func rawStreamsHaveAPlaceForEachWeight() throws {
  for (weights, stream) in rawSamples() {
    #expect(stream.count % 16 == 0 && stream.count <= weights.count + 48)
    #expect(try StandardWeightDecoder.decode(stream, limit: weights.count) == weights)
  }
  for (weights, stream) in rawSamples(isFast: true) {
    #expect(stream.count % 32 == 0)
    #expect(try FastWeightCodec.decode(stream, count: weights.count) == weights)
  }
  let wide = RawWeightStream(bits: 8, isFast: false)
  #expect(wide.code(of: -128) == wide.code(of: -127))
  let narrow = RawWeightStream(bits: 4, isFast: true)
  #expect(narrow.code(of: -9) == 1 && narrow.code(of: 0) == 8 && narrow.code(of: 9) == 15)
}

@Test func scaleRecordsAreTenBytes() {
  let bytes = ScaleRecord.stream([
    ScaleRecord(bias: -2, multiplier: 0x8000_0001, shift: 33),
    ScaleRecord(bias: 0x7F_0000_0001, multiplier: 3, shift: 0),
  ])
  #expect(bytes.count == 32)
  #expect(Array(bytes[0..<10]) == [0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 1, 0, 0, 0x80, 33])
  #expect(Array(bytes[10..<20]) == [1, 0, 0, 0, 0x7F, 3, 0, 0, 0, 0])
}

@Test func linearOrderMatchesTheSpecificationLoop() {
  var random = SplitMix64(seed: 5)
  for _ in 0..<60 {
    let inputs = 1 + Int(random.next() % 70)
    let outputs = 1 + Int(random.next() % 70)
    let bits = random.next() % 2 == 0 ? 8 : 16
    let unit = random.next() % 2 == 0 ? 4 : 8
    let block = [16, 32, 64][Int(random.next() % 3)]
    let weights = (0..<inputs * outputs).map { _ in Int8(truncatingIfNeeded: random.next()) }
    let order = LinearWeightOrder(
      inputs: inputs, blockDepth: block, microblockDepth: unit, inputBits: bits)
    var expected: [Int16] = []
    let ifmBlock = bits == 16 ? 16 : 32
    for ob in stride(from: 0, to: outputs, by: block) {
      for ib in stride(from: 0, to: inputs, by: ifmBlock) {
        for ou in stride(from: 0, to: min(block, outputs - ob), by: unit) {
          for ii in stride(from: 0, to: ifmBlock, by: 8) {
            for o in 0..<unit {
              for i in 0..<8 {
                let row = ob + ou + o
                let column = ib + ii + i
                expected.append(
                  row < outputs && column < inputs ? Int16(weights[row * inputs + column]) : 0)
              }
            }
          }
        }
      }
    }
    #expect(order.paddedCount(outputs: outputs) == expected.count)
    var found = [Int16](repeating: 99, count: expected.count)
    weights.withUnsafeBufferPointer { w in
      found.withUnsafeMutableBufferPointer { order.reorder(w, outputs: outputs, into: $0) }
    }
    #expect(found == expected)
  }
}
