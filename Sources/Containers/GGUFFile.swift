import Support
import TensorCore

/// A GGUF file, version 2 or 3: typed metadata and named tensors that stay in the file.
///
/// Source of the layout: the GGUF specification in the ggml project's documentation. Nothing is
/// trusted: counts, lengths, offsets and types are checked before anything is read or allocated, so
/// that a hostile file costs at most memory proportional to its size.
public struct GGUFFile: Sendable {
  /// The limits we hold a file to, far above what real models have.
  public enum Limits {
    /// Metadata entries.
    public static let metadata: UInt64 = 1 << 16
    /// Tensors.
    public static let tensors: UInt64 = 1 << 16
    /// Bytes of a key or tensor name.
    public static let name: UInt64 = 1 << 16
    /// Elements of one metadata array.
    public static let array: UInt64 = 1 << 24
    /// Arrays within arrays.
    public static let nesting = 4
    /// Axes of a tensor.
    public static let axes: UInt32 = 4
    /// The largest alignment.
    public static let alignment = 1 << 20
  }

  /// The format's version, 2 or 3.
  public let version: Int
  /// The metadata by key.
  public let metadata: [String: GGUFValue]
  /// The tensors in file order.
  public let tensors: [NamedTensor]
  /// Where a tensor stands in `tensors`.
  private let positions: [String: Int]

  /// Whether bytes begin like a GGUF file.
  public static func matches(_ source: ByteSource) -> Bool {
    source.withBytes { $0.count >= 4 && $0[0..<4].elementsEqual("GGUF".utf8) }
  }

  /// Reads the header of a file. `name` is used in diagnostics.
  ///
  /// Throws `DiagnosticError` with codes `gguf.*`.
  public init(_ source: ByteSource, name: String) throws(DiagnosticError) {
    self = try source.withBytes { bytes throws(DiagnosticError) in
      try GGUFFile(bytes, source: source, file: name)
    }
  }

  /// The tensor called `name`.
  public func tensor(_ name: String) -> NamedTensor? { positions[name].map { tensors[$0] } }

  private init(
    _ bytes: UnsafeRawBufferPointer, source: ByteSource, file: String
  ) throws(DiagnosticError) {
    var cursor = ByteCursor(bytes, file: file, format: "gguf")
    version = try readVersion(&cursor)
    let tensorCount = try readCount(&cursor, "tensor count", limit: Limits.tensors)
    let metadataCount = try readCount(&cursor, "metadata count", limit: Limits.metadata)
    metadata = try readMetadata(&cursor, count: metadataCount)
    let alignment = try readAlignment(metadata, cursor)
    var headers: [TensorHeader] = []
    for index in 0..<tensorCount { headers.append(try TensorHeader(&cursor, index: index)) }
    let padding = (alignment - cursor.offset % alignment) % alignment
    let dataStart = cursor.offset + padding
    var tensors: [NamedTensor] = []
    var positions: [String: Int] = [:]
    for header in headers {
      guard positions.updateValue(tensors.count, forKey: header.name) == nil else {
        throw DiagnosticError(
          "gguf.duplicate-tensor", "tensor \(header.name) appears twice",
          at: cursor.location(header.name, at: header.byteOffset))
      }
      tensors.append(
        try header.resolve(
          in: source, dataStart: dataStart, alignment: alignment, cursor: cursor))
    }
    try requireDisjoint(tensors, file: file, format: "gguf")
    self.tensors = tensors
    self.positions = positions
  }
}

private func readVersion(_ cursor: inout ByteCursor) throws(DiagnosticError) -> Int {
  let magic = try cursor.take(4, "the magic number")
  guard magic.elementsEqual("GGUF".utf8) else {
    throw DiagnosticError(
      "gguf.magic", "does not begin with GGUF", at: cursor.location(at: 0))
  }
  let version = try cursor.integer(UInt32.self, "the version")
  guard version == 2 || version == 3 else {
    let swapped = (2...3).contains(version.byteSwapped)
    throw DiagnosticError(
      "gguf.version",
      swapped
        ? "is a big-endian GGUF file; only little-endian ones are read"
        : "has GGUF version \(version); versions 2 and 3 are read",
      at: cursor.location(at: 4), wayOut: "convert the model again with a current converter")
  }
  return Int(version)
}

private func readCount(
  _ cursor: inout ByteCursor, _ what: String, limit: UInt64
) throws(DiagnosticError) -> Int {
  let start = cursor.offset
  let count = try cursor.integer(UInt64.self, "the \(what)")
  guard count <= limit else {
    throw DiagnosticError(
      "gguf.limit", "\(what) \(count) is above the limit of \(limit)",
      at: cursor.location(at: start))
  }
  return Int(count)
}

private func readString(
  _ cursor: inout ByteCursor, _ what: @autoclosure () -> String, limit: UInt64 = .max
) throws(DiagnosticError) -> String {
  let start = cursor.offset
  let length = try cursor.integer(UInt64.self, what())
  guard length <= limit else {
    throw DiagnosticError(
      "gguf.limit", "\(what()) is \(length) bytes long; the limit is \(limit)",
      at: cursor.location(at: start))
  }
  let bytes = try cursor.take(length, what())
  guard let text = String(validating: bytes, as: UTF8.self) else {
    throw DiagnosticError(
      "gguf.utf8", "\(what()) is not valid UTF-8", at: cursor.location(at: start))
  }
  return text
}

private func readMetadata(
  _ cursor: inout ByteCursor, count: Int
) throws(DiagnosticError) -> [String: GGUFValue] {
  var metadata: [String: GGUFValue] = [:]
  for index in 0..<count {
    let start = cursor.offset
    let key = try readString(
      &cursor, "the key of metadata entry \(index)", limit: GGUFFile.Limits.name)
    let type = try cursor.integer(UInt32.self, "the type of \(key)")
    let value = try readValue(&cursor, type: type, key: key, depth: 0)
    guard metadata.updateValue(value, forKey: key) == nil else {
      throw DiagnosticError(
        "gguf.duplicate-key", "metadata key \(key) appears twice",
        at: cursor.location(key, at: start))
    }
  }
  return metadata
}

/// Reads one value. Type numbers: 0…3 u8 i8 u16 i16, 4 u32, 5 i32, 6 f32, 7 bool, 8 string,
/// 9 array, 10 u64, 11 i64, 12 f64.
private func readValue(
  _ cursor: inout ByteCursor, type: UInt32, key: String, depth: Int
) throws(DiagnosticError) -> GGUFValue {
  switch type {
  case 0: return .unsigned(UInt64(try cursor.integer(UInt8.self, key)))
  case 1: return .signed(Int64(try cursor.integer(Int8.self, key)))
  case 2: return .unsigned(UInt64(try cursor.integer(UInt16.self, key)))
  case 3: return .signed(Int64(try cursor.integer(Int16.self, key)))
  case 4: return .unsigned(UInt64(try cursor.integer(UInt32.self, key)))
  case 5: return .signed(Int64(try cursor.integer(Int32.self, key)))
  case 6: return .real(Double(Float(bitPattern: try cursor.integer(UInt32.self, key))))
  case 7: return .bool(try readBool(&cursor, key))
  case 8: return .string(try readString(&cursor, key))
  case 9: return try readArray(&cursor, key: key, depth: depth)
  case 10: return .unsigned(try cursor.integer(UInt64.self, key))
  case 11: return .signed(try cursor.integer(Int64.self, key))
  case 12: return .real(Double(bitPattern: try cursor.integer(UInt64.self, key)))
  default:
    throw DiagnosticError(
      "gguf.value-type", "metadata key \(key) has the unknown value type \(type)",
      at: cursor.location(key))
  }
}

private func readBool(_ cursor: inout ByteCursor, _ key: String) throws(DiagnosticError) -> Bool {
  let value = try cursor.integer(UInt8.self, key)
  guard value <= 1 else {
    throw DiagnosticError(
      "gguf.value", "boolean \(key) holds \(value) instead of 0 or 1", at: cursor.location(key))
  }
  return value == 1
}

private func readArray(
  _ cursor: inout ByteCursor, key: String, depth: Int
) throws(DiagnosticError) -> GGUFValue {
  let start = cursor.offset
  guard depth < GGUFFile.Limits.nesting else {
    throw DiagnosticError(
      "gguf.limit", "arrays in \(key) are nested deeper than \(GGUFFile.Limits.nesting)",
      at: cursor.location(key))
  }
  let type = try cursor.integer(UInt32.self, "the element type of \(key)")
  let length = try cursor.integer(UInt64.self, "the length of \(key)")
  // The fewest bytes an element can take: an array that claims more than the rest of the file is
  // refused before room for it is made.
  let smallest: [UInt64] = [1, 1, 2, 2, 4, 4, 4, 1, 8, 12, 8, 8, 8]
  guard type < smallest.count else {
    throw DiagnosticError(
      "gguf.value-type", "array \(key) has the unknown element type \(type)",
      at: cursor.location(key, at: start))
  }
  guard length <= GGUFFile.Limits.array else {
    throw DiagnosticError(
      "gguf.limit", "array \(key) has \(length) elements; the limit is \(GGUFFile.Limits.array)",
      at: cursor.location(key, at: start))
  }
  try cursor.need(length * smallest[Int(type)], "array \(key)")
  let count = Int(length)
  func integers<T: FixedWidthInteger>(_: T.Type) throws(DiagnosticError) -> GGUFValue {
    var values: [Int64] = []
    values.reserveCapacity(count)
    for _ in 0..<count {
      values.append(Int64(truncatingIfNeeded: try cursor.integer(T.self, key)))
    }
    return .integers(values)
  }
  switch type {
  case 0: return try integers(UInt8.self)
  case 1: return try integers(Int8.self)
  case 2: return try integers(UInt16.self)
  case 3: return try integers(Int16.self)
  case 4: return try integers(UInt32.self)
  case 5: return try integers(Int32.self)
  case 10: return try integers(UInt64.self)
  case 11: return try integers(Int64.self)
  case 6, 12:
    var values: [Float] = []
    values.reserveCapacity(count)
    for _ in 0..<count {
      values.append(
        type == 6
          ? Float(bitPattern: try cursor.integer(UInt32.self, key))
          : Float(Double(bitPattern: try cursor.integer(UInt64.self, key))))
    }
    return .reals(values)
  case 7:
    var values: [Bool] = []
    values.reserveCapacity(count)
    for _ in 0..<count { values.append(try readBool(&cursor, key)) }
    return .bools(values)
  case 8:
    var values: [String] = []
    values.reserveCapacity(count)
    for _ in 0..<count { values.append(try readString(&cursor, key)) }
    return .strings(values)
  default:
    var values: [GGUFValue] = []
    for _ in 0..<count { values.append(try readArray(&cursor, key: key, depth: depth + 1)) }
    return .arrays(values)
  }
}

private func readAlignment(
  _ metadata: [String: GGUFValue], _ cursor: ByteCursor
) throws(DiagnosticError) -> Int {
  guard let value = metadata["general.alignment"] else { return 32 }
  guard let alignment = value.int, alignment > 0, alignment <= GGUFFile.Limits.alignment,
    alignment & (alignment - 1) == 0
  else {
    throw DiagnosticError(
      "gguf.alignment",
      "general.alignment must be a power of two up to \(GGUFFile.Limits.alignment)",
      at: SourceLocation(file: cursor.file, element: "general.alignment"))
  }
  return alignment
}

/// What the header says of one tensor, before it is checked against the rest of the file.
private struct TensorHeader {
  let name: String
  let dimensions: [UInt64]
  let type: UInt32
  let offset: UInt64
  let byteOffset: Int

  init(_ cursor: inout ByteCursor, index: Int) throws(DiagnosticError) {
    byteOffset = cursor.offset
    let name = try readString(
      &cursor, "the name of tensor \(index)", limit: GGUFFile.Limits.name)
    self.name = name
    let axes = try cursor.integer(UInt32.self, "the axes of \(name)")
    guard axes <= GGUFFile.Limits.axes else {
      throw DiagnosticError(
        "gguf.limit", "tensor \(name) has \(axes) axes; the limit is \(GGUFFile.Limits.axes)",
        at: cursor.location(name, at: byteOffset))
    }
    var dimensions: [UInt64] = []
    for _ in 0..<axes { dimensions.append(try cursor.integer(UInt64.self, "extents of \(name)")) }
    self.dimensions = dimensions
    type = try cursor.integer(UInt32.self, "the type of \(name)")
    offset = try cursor.integer(UInt64.self, "the offset of \(name)")
  }

  func resolve(
    in source: ByteSource, dataStart: Int, alignment: Int, cursor: ByteCursor
  ) throws(DiagnosticError) -> NamedTensor {
    func fail(_ code: String, _ message: String, wayOut: String? = nil) -> DiagnosticError {
      DiagnosticError(
        "gguf.\(code)", message, at: cursor.location(name, at: byteOffset), wayOut: wayOut)
    }
    guard let encoding = GGUFTensorType.encoding(type) else {
      throw fail(
        "tensor-type", "tensor \(name) is of \(GGUFTensorType.name(type))",
        wayOut: "use a file with the types \(GGUFTensorType.supported)")
    }
    let extents = dimensions.reversed().map { Int(exactly: $0) ?? -1 }
    let shape = Shape(extents)
    guard let count = shape.checkedCount, !extents.contains(0) else {
      throw fail("size", "tensor \(name) has impossible extents \(dimensions)")
    }
    if case .blocks(let format) = encoding, let row = extents.last,
      row % format.elementsPerBlock != 0
    {
      throw fail(
        "row-blocks",
        "rows of tensor \(name) have \(row) elements, not a multiple of "
          + "\(format.elementsPerBlock) as \(format.rawValue) needs")
    }
    guard let byteCount = encoding.byteCount(elements: count) else {
      throw fail("size", "tensor \(name) has impossible extents \(dimensions)")
    }
    guard offset % UInt64(alignment) == 0 else {
      throw fail(
        "alignment", "tensor \(name) starts at offset \(offset), not a multiple of \(alignment)")
    }
    let room = source.count - dataStart
    guard let start = Int(exactly: offset), room >= 0, start <= room, byteCount <= room - start,
      let bytes = source.slice(at: dataStart + start, count: byteCount)
    else {
      throw fail(
        "truncated",
        "tensor \(name) needs \(byteCount) bytes at offset \(offset) of the data section, which "
          + "has \(max(room, 0)) bytes",
        wayOut: "download or export the file again")
    }
    return NamedTensor(
      name: name, shape: shape, data: ConstantData(bytes: bytes, encoding: encoding),
      byteOffset: dataStart + start)
  }
}
