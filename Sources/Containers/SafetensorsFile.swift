import Support
import TensorCore

/// A safetensors file: a JSON header of names, types, shapes and byte ranges, then the bytes.
///
/// Source of the layout: the format section of the safetensors project's README.
public struct SafetensorsFile: Sendable {
  /// Bytes of the header at most, the limit of the format's own readers.
  public static let headerLimit: UInt64 = 100_000_000

  /// The file's name.
  public let name: String
  /// The tensors in the order of the header.
  public let tensors: [NamedTensor]

  /// Whether bytes look like a safetensors file.
  public static func matches(_ source: ByteSource) -> Bool {
    source.withBytes { bytes in
      guard bytes.count >= 10 else { return false }
      let length = UInt64(littleEndian: bytes.loadUnaligned(as: UInt64.self))
      return length >= 2 && length <= headerLimit && bytes[8] == UInt8(ascii: "{")
    }
  }

  /// Reads the header of a file. Throws `DiagnosticError` with codes `safetensors.*` and `json.*`.
  public init(_ source: ByteSource, name: String) throws(DiagnosticError) {
    self.name = name
    tensors = try source.withBytes { bytes throws(DiagnosticError) in
      var cursor = ByteCursor(bytes, file: name, format: "safetensors")
      let length = try cursor.integer(UInt64.self, "the header's length")
      guard length <= Self.headerLimit else {
        throw DiagnosticError(
          "safetensors.limit",
          "the header claims \(length) bytes; the limit is \(Self.headerLimit)",
          at: cursor.location(at: 0))
      }
      let header = try cursor.take(length, "the header")
      let json = try JSONValue(parsing: header, name: name, base: 8)
      guard let members = json.members else {
        throw DiagnosticError(
          "safetensors.header", "the header is not an object", at: cursor.location(at: 8))
      }
      var tensors: [NamedTensor] = []
      for member in members where member.name != "__metadata__" {
        tensors.append(
          try readTensor(member, source: source, dataStart: cursor.offset, file: name))
      }
      return tensors
    }
    try requireDisjoint(tensors, file: name, format: "safetensors")
  }
}

private func readTensor(
  _ member: JSONValue.Member, source: ByteSource, dataStart: Int, file: String
) throws(DiagnosticError) -> NamedTensor {
  func fail(_ code: String, _ message: String, wayOut: String? = nil) -> DiagnosticError {
    DiagnosticError(
      "safetensors.\(code)", message, at: SourceLocation(file: file, element: member.name),
      wayOut: wayOut)
  }
  guard let type = member.value["dtype"]?.string, let extents = member.value["shape"]?.elements,
    let range = member.value["data_offsets"]?.elements, range.count == 2,
    let start = range[0].int, let end = range[1].int, extents.allSatisfy({ $0.int != nil })
  else {
    throw fail(
      "header", "tensor \(member.name) lacks a sound dtype, shape or data_offsets")
  }
  let types: [String: ElementType] = [
    "F32": .float32, "F16": .float16, "BF16": .bfloat16, "I8": .int8, "U8": .uint8,
    "I16": .int16, "U16": .uint16, "I32": .int32, "U32": .uint32, "I64": .int64, "BOOL": .bool,
  ]
  guard let element = types[type] else {
    throw fail(
      "tensor-type", "tensor \(member.name) is of unsupported type \(type)",
      wayOut: "save the model as float32, float16 or bfloat16")
  }
  let shape = Shape(extents.compactMap(\.int))
  guard shape.rank <= 8, let count = shape.checkedCount,
    let byteCount = Encoding.dense(element).byteCount(elements: count)
  else { throw fail("size", "tensor \(member.name) has impossible extents") }
  guard start >= 0, end >= start, end - start == byteCount else {
    throw fail(
      "size",
      "tensor \(member.name) needs \(byteCount) bytes; its data_offsets are [\(start), \(end)]")
  }
  let room = source.count - dataStart
  guard end <= room, let bytes = source.slice(at: dataStart + start, count: byteCount) else {
    throw fail(
      "truncated",
      "tensor \(member.name) ends at byte \(end) of the data section, which has \(room) bytes",
      wayOut: "download or export the file again")
  }
  return NamedTensor(
    name: member.name, shape: shape,
    data: ConstantData(bytes: bytes, encoding: .dense(element)), byteOffset: dataStart + start)
}
