import Support
import Testing

@testable import EthosUISA

private func randomWeights(_ count: Int, _ random: inout SplitMix64) -> [Int16] {
  let sigma = [0.4, 1, 2.5, 8, 25, 80][Int(random.next() % 6)]
  let zeros = [0, 0, 0.5, 0.95][Int(random.next() % 4)]
  let limit = [1.0, 7, 127, 255][Int(random.next() % 4)]
  return (0..<count).map { _ in
    if random.uniform() < zeros { return 0 }
    return Int16(max(-limit, min(limit, (random.normal() * sigma).rounded())))
  }
}

private func roundTrip(_ weights: [Int16]) throws {
  for (profile, effort) in [
    (EncoderProfile.full, EncoderEffort.thorough), (.full, .quick), (.conservative, .thorough),
  ] {
    let stream = weights.withUnsafeBufferPointer {
      StandardWeightEncoder.encode($0, profile: profile, effort: effort)
    }
    #expect(stream.count % 16 == 0)
    #expect(try StandardWeightDecoder.decode(stream, limit: weights.count) == weights)
  }
}

@Test func randomListsSurviveTheStandardFormat() throws {
  var random = SplitMix64(seed: 21)
  for _ in 0..<150 {
    var weights: [Int16] = []
    // Statistics that change make sections and slices.
    for _ in 0...Int(random.next() % 3) {
      weights += randomWeights(1 + Int(random.next() % 3000), &random)
    }
    try roundTrip(weights)
  }
}

@Test func extremeListsSurviveTheStandardFormat() throws {
  for value: Int16 in [-255, -128, -1, 0, 1, 127, 255] {
    for count in [1, 2, 11, 12, 13, 32767, 32768, 70_000] {
      try roundTrip([Int16](repeating: value, count: count))
    }
  }
  try roundTrip((-255...255).map { Int16($0) })
  var sparse = [Int16](repeating: 0, count: 140_000)
  sparse[0] = 3
  try roundTrip(sparse)
  sparse[139_999] = -200
  try roundTrip(sparse)
  sparse[0] = 0
  try roundTrip(sparse)
}

@Test func anyBytesDecodeOrFail() throws {
  var random = SplitMix64(seed: 77)
  var decoded = 0
  var base: [[UInt8]] = []
  for _ in 0..<6 {
    let weights = randomWeights(400, &random)
    base.append(weights.withUnsafeBufferPointer { StandardWeightEncoder.encode($0) })
  }
  for round in 0..<3000 {
    var bytes: [UInt8]
    if round % 3 == 0 {
      bytes = (0..<Int(random.next() % 200)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    } else {
      bytes = base[Int(random.next() % 6)]
      for _ in 0...Int(random.next() % 4) {
        bytes[Int(random.next() % UInt64(bytes.count))] ^= 1 << UInt8(random.next() % 8)
      }
      if random.next() % 4 == 0 { bytes.removeLast(Int(random.next() % UInt64(bytes.count))) }
    }
    do {
      let weights = try StandardWeightDecoder.decode(bytes, limit: 5000)
      #expect(weights.count <= 5000 && weights.allSatisfy { $0 >= -255 && $0 <= 255 })
      decoded += 1
    } catch {
      #expect(error.bitOffset >= 0)
    }
    _ = try? FastWeightCodec.decode(bytes, count: Int(random.next() % 500))
  }
  #expect(decoded > 0)
}

@Test func brokenStreamsAreNamed() {
  func kind(_ bytes: [UInt8], limit: Int = 1000) -> WeightStreamError.Kind? {
    do {
      _ = try StandardWeightDecoder.decode(bytes, limit: limit)
      return nil
    } catch { return error.kind }
  }
  #expect(kind([4, 0, 0, 0]) == .invalidHeader(field: "ZDIV", value: 4))
  #expect(kind([6, 0, 0, 0]) == .missingPalette)
  #expect(kind([6, 0]) == .missingPalette || kind([6, 0]) == .truncated)
  #expect(kind([6, 0, 0x40, 0, 0]) != nil)
  let zeros = [Int16](repeating: 0, count: 900)
  let stream = zeros.withUnsafeBufferPointer { StandardWeightEncoder.encode($0) }
  #expect(kind(stream, limit: 899) == .tooManyWeights(limit: 899))
  #expect(kind(stream, limit: 900) == nil)
  #expect(kind(Array(stream.prefix(4))) == .truncated)
}

@Test func randomGeometriesSurvive() throws {
  var random = SplitMix64(seed: 5)
  func pick<T>(_ values: [T]) -> T { values[Int(random.next() % UInt64(values.count))] }
  for _ in 0..<400 {
    let isU85 = random.next() % 2 == 0
    var g = WeightGeometry(
      family: isU85 ? .u85 : .u55, traversal: pick(WeightGeometry.Traversal.allCases),
      outputs: 1 + Int(random.next() % 40), inputs: 1 + Int(random.next() % 70),
      kernelHeight: pick([1, 1, 2, 3, 9]), kernelWidth: pick([1, 1, 3, 5, 10]),
      ofmBlockDepth: pick([8, 16, 24, 32]), ofmUblockDepth: 8, ifmBits: pick([8, 16]))
    (g.dilationY, g.dilationX) = (pick([1, 2]), pick([1, 2]))
    if isU85 {
      (g.macs, g.ofmUblockDepth, g.cores) = pick([
        (128, 8, 1), (128, 16, 1), (256, 16, 1), (512, 16, 2), (1024, 32, 4), (2048, 64, 4),
      ])
      (g.strideY, g.strideX) = (pick([1, 2, 3]), pick([1, 2]))
      if g.traversal != .depthwise {
        g.format = pick([.standard, .fast])
        g.isSparse = random.next() % 3 == 0
      }
    } else {
      g.ofmUblockDepth = pick([4, 8])
      g.cores = pick([1, 2])
    }
    let weights: [Int8] = (0..<g.elementCount).map { i in
      // Two of four zeros in each group of channels satisfies 2:4.
      g.isSparse && (i % g.inputs) % 4 > 1
        ? 0 : max(-127, Int8(truncatingIfNeeded: random.next()))
    }
    var out = [Int8](repeating: 99, count: weights.count)
    for stream in 0..<g.streamCount {
      let bytes = try weights.withUnsafeBufferPointer {
        try WeightStream.encode($0, geometry: g, stream: stream)
      }
      try out.withUnsafeMutableBufferPointer {
        try WeightStream.decode(bytes, geometry: g, stream: stream, into: $0)
      }
    }
    #expect(out == weights, "\(g)")
  }
}

@Test func slicesOfALargerBufferAreEncodedInPlace() throws {
  let weights = (0..<64 * 33).map { Int8(truncatingIfNeeded: $0 * 7) }
  let g = WeightGeometry(outputs: 16, inputs: 33, ofmBlockDepth: 16)
  try weights.withUnsafeBufferPointer { all in
    let inPlace = try WeightStream.encode(
      UnsafeBufferPointer(rebasing: all[(32 * 33)...]), geometry: g)
    let copy = Array(all[32 * 33..<48 * 33])
    let alone = try copy.withUnsafeBufferPointer { try WeightStream.encode($0, geometry: g) }
    #expect(inPlace == alone)
  }
}

@Test func geometryAndWeightsAreChecked() {
  func kind(_ geometry: WeightGeometry, _ weights: [Int16]) -> WeightStreamError.Kind? {
    weights.withUnsafeBufferPointer { weights -> WeightStreamError.Kind? in
      do {
        _ = try WeightStream.encode(weights, geometry: geometry)
        return nil
      } catch { return (error as? WeightStreamError)?.kind }
    }
  }
  var g = WeightGeometry(outputs: 2, inputs: 4, ofmBlockDepth: 8)
  #expect(kind(g, [1, 2, 3]) == .bufferTooSmall(found: 3, expected: 8))
  #expect(kind(g, [1, 2, 3, 4, 5, 6, 7, 256]) == .weightOutOfRange(256))
  g.isSparse = true
  if case .invalidGeometry = kind(g, [0, 0, 0, 0, 0, 0, 0, 0]) {} else { Issue.record("accepted") }
  g.family = .u85
  #expect(kind(g, [0, 1, 1, 0, 0, 0, 0, 0]) == nil)
  #expect(kind(g, [0, 1, 1, 1, 0, 0, 0, 0]) == .notSparse(group: 0))
}
