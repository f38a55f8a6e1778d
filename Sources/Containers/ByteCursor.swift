import Support

/// Reads numbers from the front of a file's bytes, checking every length before touching anything.
///
/// A cursor is only used inside the `withBytes` call that its bytes come from.
struct ByteCursor {
  /// The whole file.
  let bytes: UnsafeRawBufferPointer
  /// The next byte.
  private(set) var offset = 0
  /// The file's name, for diagnostics.
  let file: String
  /// The format's prefix of diagnostic codes, e.g. `gguf`.
  let format: String

  /// A cursor at the first byte.
  init(_ bytes: UnsafeRawBufferPointer, file: String, format: String) {
    self.bytes = bytes
    self.file = file
    self.format = format
  }

  /// Bytes left.
  var remaining: Int { bytes.count - offset }

  /// A place in the file.
  func location(_ element: String? = nil, at offset: Int? = nil) -> SourceLocation {
    SourceLocation(file: file, element: element, byteOffset: offset ?? self.offset)
  }

  /// Throws unless `count` more bytes are there; `what` names what they hold.
  func need(_ count: UInt64, _ what: @autoclosure () -> String) throws(DiagnosticError) {
    guard count <= UInt64(remaining) else {
      throw DiagnosticError(
        "\(format).truncated",
        "the file ends inside \(what()): it needs \(count) bytes and \(remaining) are left",
        at: location(), wayOut: "download or export the file again")
    }
  }

  /// The next little-endian integer.
  mutating func integer<T: FixedWidthInteger>(
    _ type: T.Type = T.self, _ what: @autoclosure () -> String
  ) throws(DiagnosticError) -> T {
    let size = MemoryLayout<T>.size
    try need(UInt64(size), what())
    let value = T(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: T.self))
    offset += size
    return value
  }

  /// The next `count` bytes, valid as long as the file's.
  mutating func take(_ count: UInt64, _ what: @autoclosure () -> String) throws(DiagnosticError)
    -> UnsafeRawBufferPointer
  {
    try need(count, what())
    let part = UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + Int(count)])
    offset += Int(count)
    return part
  }
}

/// Throws when two tensors share bytes.
func requireDisjoint(
  _ tensors: [NamedTensor], file: String, format: String
) throws(DiagnosticError) {
  let ordered = tensors.filter { $0.data.bytes.count > 0 }
    .sorted { ($0.byteOffset, $0.name) < ($1.byteOffset, $1.name) }
  for (a, b) in zip(ordered, ordered.dropFirst())
  where a.byteOffset + a.data.bytes.count > b.byteOffset {
    throw DiagnosticError(
      "\(format).overlap",
      "tensors \(a.name) (bytes \(a.byteOffset)..<\(a.byteOffset + a.data.bytes.count)) and "
        + "\(b.name) (from byte \(b.byteOffset)) overlap",
      at: SourceLocation(file: file, element: b.name, byteOffset: b.byteOffset),
      wayOut: "the file is damaged; download or export it again")
  }
}
