import Support

/// A `.npz` file: a zip archive of `.npy` arrays, stored without compression as `numpy.savez` does.
///
/// Source of the layout: PKWARE's APPNOTE (end of central directory, central and local headers).
public struct NumpyArchive: Sendable {
  /// Entries of the archive at most.
  static let entryLimit = 4096
  /// The arrays' files by name without `.npy`.
  private let entries: [String: ByteSource]
  private let name: String

  /// Whether bytes look like a zip archive.
  public static func matches(_ source: ByteSource) -> Bool {
    source.withBytes { $0.starts(with: [0x50, 0x4B, 3, 4]) }
  }

  /// Reads the directory. Throws `DiagnosticError` with codes `npz.*`.
  public init(_ source: ByteSource, name: String) throws(DiagnosticError) {
    func malformed(_ what: String) -> DiagnosticError {
      DiagnosticError("npz.malformed", what, at: SourceLocation(file: name))
    }
    func number(_ offset: Int, _ bytes: Int) throws(DiagnosticError) -> Int {
      guard let part = source.slice(at: offset, count: bytes) else {
        throw malformed("the archive is cut off")
      }
      return part.withBytes { raw in raw.reversed().reduce(0) { $0 << 8 | Int($1) } }
    }
    // The end record is 22 bytes and a comment; archives of NumPy have none.
    let end = source.count - 22
    guard end >= 0, try number(end, 4) == 0x0605_4B50 else {
      throw malformed("has no zip directory at its end")
    }
    let count = try number(end + 10, 2)
    guard count <= Self.entryLimit else { throw malformed("has \(count) entries") }
    var at = try number(end + 16, 4)
    var entries: [String: ByteSource] = [:]
    for _ in 0..<count {
      guard try number(at, 4) == 0x0201_4B50 else { throw malformed("its directory is damaged") }
      let nameLength = try number(at + 28, 2)
      guard let text = source.slice(at: at + 46, count: nameLength) else {
        throw malformed("its directory is cut off")
      }
      let entry = text.withBytes { String(decoding: $0, as: UTF8.self) }
      guard try number(at + 10, 2) == 0 else {
        throw DiagnosticError(
          "npz.compressed", "entry \(entry) is compressed", at: SourceLocation(file: name),
          wayOut: "write the archive with numpy.savez")
      }
      let size = try number(at + 24, 4)
      let local = try number(at + 42, 4)
      let data = local + 30 + (try number(local + 26, 2)) + (try number(local + 28, 2))
      guard let bytes = source.slice(at: data, count: size) else {
        throw malformed("entry \(entry) lies outside the file")
      }
      entries[entry.hasSuffix(".npy") ? String(entry.dropLast(4)) : entry] = bytes
      at += 46 + nameLength + (try number(at + 30, 2)) + (try number(at + 32, 2))
    }
    self.entries = entries
    self.name = name
  }

  /// The array called `key`. Throws when it is absent or malformed.
  public func array(_ key: String) throws(DiagnosticError) -> NumpyArray {
    guard let bytes = entries[key] else {
      throw DiagnosticError(
        "npz.missing", "has no array \(key)", at: SourceLocation(file: name, element: key))
    }
    return try NumpyArray(bytes, name: "\(name):\(key)")
  }
}
