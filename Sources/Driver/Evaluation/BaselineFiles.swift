import Analysis
import Foundation
import Support

/// The files a baseline names, found from the baseline's own place.
struct BaselineFiles {
  /// The baseline's file.
  let path: String

  private var folder: URL {
    URL(fileURLWithPath: path).standardizedFileURL.resolvingSymlinksInPath()
      .deletingLastPathComponent()
  }

  /// Describes a file. Its path is kept when it lies in the same project: below the folder that holds
  /// the baseline's folder. Anything else is a place on one machine and must be named each time.
  func describe(_ file: String) throws(DiagnosticError) -> Baseline.Input {
    let bytes = ByteSource(try MappedFile(file))
    let url = URL(fileURLWithPath: file).standardizedFileURL.resolvingSymlinksInPath()
    let project = folder.deletingLastPathComponent().path
    let root = project.hasSuffix("/") ? project : project + "/"
    var relative: String?
    if url.path.hasPrefix(root) {
      let inside = url.path.dropFirst(root.count)
      let own = folder.lastPathComponent + "/"
      relative = inside.hasPrefix(own) ? String(inside.dropFirst(own.count)) : "../" + inside
    }
    return Baseline.Input(
      name: url.lastPathComponent, crc32: bytes.withBytes { CRC32.checksum($0) }, path: relative)
  }

  /// The path to read an input from: the one the user named, else the baseline's own.
  ///
  /// Throws `DiagnosticError` when the file must be named, or is not the one the figures were recorded
  /// with; `accepts` lets another file through, for recording anew.
  func resolve(
    _ input: Baseline.Input?, named: String?, option: String, accepts: Bool
  ) throws(DiagnosticError) -> String? {
    guard let input else { return named }
    guard let file = named ?? input.path.map({ folder.appendingPathComponent($0).path }) else {
      throw DiagnosticError(
        "baseline.input", "the figures were measured with '\(input.name)', which must be named",
        at: SourceLocation(file: path), wayOut: "\(option) FILE")
    }
    if !accepts {
      let found = try describe(file)
      guard found.crc32 == input.crc32 else {
        throw DiagnosticError(
          "baseline.input",
          "'\(file)' is not the '\(input.name)' the figures were recorded with: its checksum differs",
          at: SourceLocation(file: path),
          wayOut: "the same file, or --record when the change is meant")
      }
    }
    return file
  }
}
