/// The weights of a depth slice as bytes for the hardware, and back.
///
/// Weights are row-major (OHWI unless the geometry has other strides), zero points removed. All
/// functions are free of shared state and may run on several threads; a slice of a larger layer is
/// encoded in place by passing the part of its buffer that starts at the slice's first channel.
public enum WeightStream {
  /// Encodes one stream of a slice of int8 weights. Empty when no channel falls to the stream.
  public static func encode(
    _ weights: UnsafeBufferPointer<Int8>, geometry: WeightGeometry, stream: Int = 0,
    profile: EncoderProfile = .full, effort: EncoderEffort = .thorough
  ) throws(WeightStreamError) -> [UInt8] {
    try finish(try order(weights, geometry, stream), geometry, profile, effort)
  }

  /// Encodes one stream of a slice of int16 weights, which are −255…255.
  public static func encode(
    _ weights: UnsafeBufferPointer<Int16>, geometry: WeightGeometry, stream: Int = 0,
    profile: EncoderProfile = .full, effort: EncoderEffort = .thorough
  ) throws(WeightStreamError) -> [UInt8] {
    for weight in weights where weight < -255 || weight > 255 {
      throw WeightStreamError(.weightOutOfRange(Int(weight)))
    }
    return try finish(try order(weights, geometry, stream), geometry, profile, effort)
  }

  /// The weights of one stream in the order the hardware reads them, before they are coded.
  public static func padded(
    _ weights: UnsafeBufferPointer<Int16>, geometry: WeightGeometry, stream: Int = 0
  ) throws(WeightStreamError) -> [Int16] {
    try order(weights, geometry, stream)
  }

  /// Decodes one stream into its places of a slice of int16 weights; other streams' channels stay.
  ///
  /// An empty stream is legal only for a stream without channels.
  public static func decode(
    _ bytes: [UInt8], geometry: WeightGeometry, stream: Int = 0,
    into out: UnsafeMutableBufferPointer<Int16>
  ) throws(WeightStreamError) {
    try restore(bytes, geometry, stream, out)
  }

  /// Decodes one stream into its places of a slice of int8 weights; fails if a weight does not fit.
  public static func decode(
    _ bytes: [UInt8], geometry: WeightGeometry, stream: Int = 0,
    into out: UnsafeMutableBufferPointer<Int8>
  ) throws(WeightStreamError) {
    try restore(bytes, geometry, stream, out)
  }

  private static func order<Element: FixedWidthInteger & SignedInteger>(
    _ weights: UnsafeBufferPointer<Element>, _ geometry: WeightGeometry, _ stream: Int
  ) throws(WeightStreamError) -> [Int16] {
    try geometry.check(stream: stream)
    guard weights.count >= geometry.elementCount else {
      throw WeightStreamError(
        .bufferTooSmall(found: weights.count, expected: geometry.elementCount))
    }
    if geometry.format == .fast && geometry.cores > 1 {
      return interleave(weights, geometry)
    }
    return gather(weights, geometry, stream)
  }

  private static func gather<Element: FixedWidthInteger & SignedInteger>(
    _ weights: UnsafeBufferPointer<Element>, _ geometry: WeightGeometry, _ stream: Int
  ) -> [Int16] {
    let count = geometry.paddedCount(stream: stream)
    return [Int16](unsafeUninitializedCapacity: count) { out, written in
      var visitor = GatherVisitor(source: weights, out: out)
      geometry.walk(stream: stream, &visitor)
      written = visitor.at
    }
  }

  /// The fast format has one stream, in which blocks of the decoders' streams take turns.
  private static func interleave<Element: FixedWidthInteger & SignedInteger>(
    _ weights: UnsafeBufferPointer<Element>, _ geometry: WeightGeometry
  ) -> [Int16] {
    let parts = (0..<geometry.cores).map { gather(weights, geometry, $0) }
    let block = geometry.interleaveU85
    var result: [Int16] = []
    result.reserveCapacity(parts.reduce(0) { $0 + $1.count })
    for start in stride(from: 0, to: parts.map(\.count).max() ?? 0, by: block) {
      for part in parts { result += part[min(start, part.count)..<min(start + block, part.count)] }
    }
    return result
  }

  private static func finish(
    _ padded: [Int16], _ geometry: WeightGeometry, _ profile: EncoderProfile,
    _ effort: EncoderEffort
  ) throws(WeightStreamError) -> [UInt8] {
    if padded.isEmpty { return [] }
    if geometry.isSparse { try checkSparsity(padded) }
    return try padded.withUnsafeBufferPointer { (padded) throws(WeightStreamError) -> [UInt8] in
      switch geometry.format {
      case .standard: StandardWeightEncoder.encode(padded, profile: profile, effort: effort)
      case .fast: try FastWeightCodec.encode(padded, forceRaw: geometry.isSparse)
      }
    }
  }

  private static func checkSparsity(_ padded: [Int16]) throws(WeightStreamError) {
    for start in stride(from: 0, to: padded.count, by: 4) {
      var used = 0
      for weight in padded[start..<min(start + 4, padded.count)] {
        used += weight != 0 ? 1 : 0
        if abs(weight) > 127 { throw WeightStreamError(.weightOutOfRange(Int(weight))) }
      }
      if used > 2 { throw WeightStreamError(.notSparse(group: start / 4)) }
    }
  }

  private static func restore<Element: FixedWidthInteger & SignedInteger>(
    _ bytes: [UInt8], _ geometry: WeightGeometry, _ stream: Int,
    _ out: UnsafeMutableBufferPointer<Element>
  ) throws(WeightStreamError) {
    try geometry.check(stream: stream)
    guard out.count >= geometry.elementCount else {
      throw WeightStreamError(.bufferTooSmall(found: out.count, expected: geometry.elementCount))
    }
    let cores = geometry.format == .fast ? Array(0..<geometry.cores) : [stream]
    let counts = cores.map { geometry.paddedCount(stream: $0) }
    let total = counts.reduce(0, +)
    let padded: [Int16]
    switch geometry.format {
    case .standard: padded = try StandardWeightDecoder.decode(bytes, limit: total)
    case .fast: padded = try FastWeightCodec.decode(bytes, count: total)
    }
    guard padded.count == total else {
      throw WeightStreamError(
        .wrongCount(found: padded.count, expected: total), bitOffset: bytes.count * 8)
    }
    if cores.count == 1 { return try scatter(padded, geometry, cores[0], out) }
    var parts = counts.map { _ in [Int16]() }
    let block = geometry.interleaveU85
    var at = 0
    while at < total {
      for i in parts.indices {
        let length = min(block, counts[i] - parts[i].count)
        parts[i] += padded[at..<at + length]
        at += length
      }
    }
    for (core, part) in zip(cores, parts) { try scatter(part, geometry, core, out) }
  }

  private static func scatter<Element: FixedWidthInteger & SignedInteger>(
    _ padded: [Int16], _ geometry: WeightGeometry, _ stream: Int,
    _ out: UnsafeMutableBufferPointer<Element>
  ) throws(WeightStreamError) {
    let misfit = padded.withUnsafeBufferPointer { padded in
      var visitor = ScatterVisitor(source: padded, out: out)
      geometry.walk(stream: stream, &visitor)
      return visitor.misfit
    }
    if let misfit { throw WeightStreamError(.doesNotFit(Int(misfit))) }
  }
}

/// Copies weights from memory into hardware order.
private struct GatherVisitor<Element: FixedWidthInteger & SignedInteger>: WeightVisitor {
  let source: UnsafeBufferPointer<Element>
  let out: UnsafeMutableBufferPointer<Int16>
  var at = 0

  @inline(__always)
  mutating func span(at offset: Int, valid: Int, padded: Int, isOwn: Bool) {
    if valid == 8 && padded == 8 {
      for i in 0..<8 { out[at &+ i] = Int16(truncatingIfNeeded: source[offset &+ i]) }
    } else {
      for i in 0..<valid { out[at &+ i] = Int16(truncatingIfNeeded: source[offset &+ i]) }
      for i in valid..<padded { out[at &+ i] = 0 }
    }
    at &+= padded
  }

  @inline(__always)
  mutating func zeros(_ count: Int) {
    for i in 0..<count { out[at &+ i] = 0 }
    at &+= count
  }
}

/// Copies weights from hardware order to their places in memory.
private struct ScatterVisitor<Element: FixedWidthInteger & SignedInteger>: WeightVisitor {
  let source: UnsafeBufferPointer<Int16>
  let out: UnsafeMutableBufferPointer<Element>
  var at = 0
  var misfit: Int16?

  @inline(__always)
  mutating func span(at offset: Int, valid: Int, padded: Int, isOwn: Bool) {
    if isOwn {
      for i in 0..<valid {
        let value = source[at &+ i]
        let narrow = Element(truncatingIfNeeded: value)
        if Int16(truncatingIfNeeded: narrow) != value { misfit = value }
        out[offset &+ i] = narrow
      }
    }
    at &+= padded
  }

  @inline(__always)
  mutating func zeros(_ count: Int) { at &+= count }
}
