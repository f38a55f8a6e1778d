import Foundation
import Support

/// Writes a package directory so that it appears whole or not at all.
///
/// Files go to a temporary directory beside the destination; `commit` renames it into place. A writer
/// that is abandoned removes what it wrote.
public final class PackageWriter {
  private let destination: URL
  private let temporary: URL
  private var files: [Manifest.File] = []
  private var committed = false

  /// Starts a package at `path`.
  ///
  /// Throws `DiagnosticError` when something other than a package stands there, or the parent folder
  /// cannot be written.
  public init(_ path: String) throws(DiagnosticError) {
    destination = URL(fileURLWithPath: path).standardizedFileURL
    let manager = FileManager.default
    var isDirectory: ObjCBool = false
    if manager.fileExists(atPath: destination.path, isDirectory: &isDirectory) {
      let inside = (try? manager.contentsOfDirectory(atPath: destination.path)) ?? []
      guard isDirectory.boolValue, inside.isEmpty || inside.contains(PackageFile.manifest) else {
        throw DiagnosticError(
          "output.occupied", "exists and is not a package that may be replaced",
          at: SourceLocation(file: path), wayOut: "another -o DIR, or remove it first")
      }
    }
    temporary = destination.deletingLastPathComponent().appendingPathComponent(
      ".\(destination.lastPathComponent).partial-\(ProcessInfo.processInfo.processIdentifier)")
    try Self.reporting(path) {
      try? manager.removeItem(at: temporary)
      try manager.createDirectory(at: temporary, withIntermediateDirectories: true)
    }
  }

  deinit {
    if !committed { try? FileManager.default.removeItem(at: temporary) }
  }

  /// Writes one file.
  public func write(_ bytes: ByteSource, to name: String) throws(DiagnosticError) {
    try file(name) { file in
      try bytes.withBytes { raw in
        // In parts, so that a large mapped source never needs a second copy in memory.
        var at = 0
        while at < raw.count {
          let part = UnsafeRawBufferPointer(rebasing: raw[at..<min(at + 1 << 24, raw.count)])
          try file.append(part)
          at += part.count
        }
      }
    }
  }

  /// Writes one text file.
  public func write(_ text: String, to name: String) throws(DiagnosticError) {
    try write(ByteSource(Array(text.utf8)), to: name)
  }

  /// Writes one file piece by piece: `body` gets a function that appends bytes.
  public func stream(
    to name: String, _ body: ((UnsafeRawBufferPointer) throws -> Void) throws -> Void
  ) throws(DiagnosticError) {
    try file(name) { file in try body { try file.append($0) } }
  }

  /// Writes the manifest with the list of files, and puts the package in place.
  public func commit(_ manifest: Manifest) throws(DiagnosticError) {
    var manifest = manifest
    manifest.files = files.sorted { $0.name < $1.name }
    try Self.reporting(destination.path) {
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
      try encoder.encode(manifest).write(to: temporary.appendingPathComponent(PackageFile.manifest))
      let manager = FileManager.default
      let old = temporary.deletingLastPathComponent().appendingPathComponent(
        temporary.lastPathComponent + "-old")
      if manager.fileExists(atPath: destination.path) {
        try manager.moveItem(at: destination, to: old)
      }
      do {
        try manager.moveItem(at: temporary, to: destination)
      } catch {
        try? manager.moveItem(at: old, to: destination)
        throw error
      }
      try? manager.removeItem(at: old)
    }
    committed = true
  }

  /// A file being written, with its checksum so far.
  private final class OpenFile {
    let handle: FileHandle
    var checksum = CRC32()
    var count = 0

    init(_ url: URL) throws {
      try FileManager.default.createDirectory(
        at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
      try Data().write(to: url)
      handle = try FileHandle(forWritingTo: url)
    }

    deinit { try? handle.close() }

    func append(_ part: UnsafeRawBufferPointer) throws {
      try handle.write(contentsOf: Data(part))
      checksum.update(part)
      count += part.count
    }
  }

  private func file(_ name: String, _ body: (OpenFile) throws -> Void) throws(DiagnosticError) {
    let url = temporary.appendingPathComponent(name)
    try Self.reporting(url.path) {
      let file = try OpenFile(url)
      try body(file)
      files.append(Manifest.File(name: name, bytes: file.count, crc32: file.checksum.value))
    }
  }

  /// Runs file work and turns what it throws into a diagnostic that names the file.
  private static func reporting(_ path: String, _ body: () throws -> Void) throws(DiagnosticError) {
    do {
      try body()
    } catch let error as DiagnosticError {
      throw error
    } catch {
      throw DiagnosticError(
        "output.write", "cannot write: \(error.localizedDescription)",
        at: SourceLocation(file: path))
    }
  }
}
