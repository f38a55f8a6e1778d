import Support

/// How the bytes of a constant encode its numbers: plain elements, or a block format of the
/// GGML family whose blocks run along the innermost axis.
public enum Encoding: Hashable, Sendable {
  /// Row-major elements, little endian.
  case dense(ElementType)
  /// Blocks of scaled small integers.
  case blocks(BlockFormat)

  /// Bytes of `count` elements; nil when `count` is not a whole number of blocks or too large.
  public func byteCount(elements count: Int) -> Int? {
    switch self {
    case .dense(let element):
      let (bytes, overflow) = count.multipliedReportingOverflow(by: element.byteCount)
      return overflow || count < 0 ? nil : bytes
    case .blocks(let format):
      guard count >= 0, count % format.elementsPerBlock == 0 else { return nil }
      let (bytes, overflow) = (count / format.elementsPerBlock)
        .multipliedReportingOverflow(by: format.bytesPerBlock)
      return overflow ? nil : bytes
    }
  }

  /// The name used in listings, e.g. `float32` or `q4_1`.
  public var name: String {
    switch self {
    case .dense(let element): element.rawValue
    case .blocks(let format): format.rawValue
    }
  }
}

/// The numbers of a constant, left in their file until they are read.
public struct ConstantData: Sendable {
  /// The encoded bytes, exactly as many as the shape needs.
  public let bytes: ByteSource
  /// How they encode numbers.
  public let encoding: Encoding

  /// Constant data whose byte count the caller has checked against its shape.
  public init(bytes: ByteSource, encoding: Encoding) {
    self.bytes = bytes
    self.encoding = encoding
  }

  /// Owned floats.
  public init(floats: [Float]) {
    self.init(bytes: ByteSource(floats.withUnsafeBytes(Array.init)), encoding: .dense(.float32))
  }

  /// Owned 8-bit integers.
  public init(int8 values: [Int8]) {
    self.init(bytes: ByteSource(values.withUnsafeBytes(Array.init)), encoding: .dense(.int8))
  }

  /// Owned 16-bit integers.
  public init(int16 values: [Int16]) {
    self.init(bytes: ByteSource(values.withUnsafeBytes(Array.init)), encoding: .dense(.int16))
  }

  /// Owned 32-bit integers.
  public init(int32 values: [Int32]) {
    self.init(bytes: ByteSource(values.withUnsafeBytes(Array.init)), encoding: .dense(.int32))
  }

  /// The elements `range` (flat, row-major indices) as floats, dequantised block by block.
  ///
  /// For block formats the range must start and end on block boundaries. Integers come as they are
  /// stored, without their `QuantParams`. Returns false when the range lies outside the data.
  public func readFloats(
    _ range: Range<Int>, into out: UnsafeMutableBufferPointer<Float>
  ) -> Bool {
    guard out.count >= range.count, range.lowerBound >= 0,
      let start = encoding.byteCount(elements: range.lowerBound),
      let length = encoding.byteCount(elements: range.count),
      let part = bytes.slice(at: start, count: length)
    else { return false }
    part.withBytes { raw in
      switch encoding {
      case .dense(let element): readDense(element, raw, range.count, out)
      case .blocks(let format): format.dequantise(raw, into: out)
      }
    }
    return true
  }

  /// All elements as floats; nil when the bytes do not hold that many.
  public func floats(count: Int) -> [Float]? {
    var sound = false
    let values = [Float](unsafeUninitializedCapacity: max(count, 0)) { buffer, filled in
      sound = readFloats(0..<max(count, 0), into: buffer)
      filled = sound ? count : 0
    }
    return sound ? values : nil
  }

  /// All elements as the integer type they are stored in; nil when it is another type or too short.
  public func integers<T: FixedWidthInteger>(_ type: T.Type, count: Int) -> [T]? {
    guard case .dense(let element) = encoding, element.isInteger,
      element.byteCount == MemoryLayout<T>.size, count >= 0,
      let length = encoding.byteCount(elements: count), bytes.count >= length
    else { return nil }
    return bytes.withBytes { raw in
      (0..<count).map {
        T(littleEndian: raw.loadUnaligned(fromByteOffset: $0 * MemoryLayout<T>.size, as: T.self))
      }
    }
  }
}

/// Reads plain elements as floats.
private func readDense(
  _ element: ElementType, _ raw: UnsafeRawBufferPointer, _ count: Int,
  _ out: UnsafeMutableBufferPointer<Float>
) {
  func each<T>(_ type: T.Type, _ convert: (T) -> Float) {
    for i in 0..<count {
      out[i] = convert(raw.loadUnaligned(fromByteOffset: i * MemoryLayout<T>.size, as: T.self))
    }
  }
  switch element {
  case .float32: each(UInt32.self) { Float(bitPattern: UInt32(littleEndian: $0)) }
  case .bfloat16: each(UInt16.self) { Float(bitPattern: UInt32(UInt16(littleEndian: $0)) << 16) }
  case .float16: each(UInt16.self) { HalfFloat.float(UInt16(littleEndian: $0)) }
  case .bool, .uint8: each(UInt8.self) { Float($0) }
  case .int4, .int8: each(Int8.self) { Float($0) }
  case .int16: each(Int16.self) { Float(Int16(littleEndian: $0)) }
  case .uint16: each(UInt16.self) { Float(UInt16(littleEndian: $0)) }
  case .int32: each(Int32.self) { Float(Int32(littleEndian: $0)) }
  case .uint32: each(UInt32.self) { Float(UInt32(littleEndian: $0)) }
  case .int64: each(Int64.self) { Float(Int64(littleEndian: $0)) }
  }
}
