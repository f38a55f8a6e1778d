import Foundation
import Support

/// The targets that come with the tool, and those of the user.
public enum TargetLibrary {
  /// The target called `name`, or the one in the file at that path when it ends in `.yaml`.
  ///
  /// Throws `DiagnosticError` when there is none, naming those there are, or its file is wrong.
  public static func find(_ name: String) throws(DiagnosticError) -> Target {
    if name.hasSuffix(".yaml") || name.hasSuffix(".yml") {
      return try load(URL(fileURLWithPath: name), shownAs: name)
    }
    let files = try files()
    guard let file = files.first(where: { $0.deletingPathExtension().lastPathComponent == name })
    else {
      throw DiagnosticError(
        "target.unknown", "there is no target '\(name)'",
        notes: [
          "known: "
            + files.map { $0.deletingPathExtension().lastPathComponent }
            .joined(separator: ", ")
        ], wayOut: "swiftlet targets, or the path of a target file of your own")
    }
    return try load(file, shownAs: file.path)
  }

  /// All targets that come with the tool, by name.
  public static func all() throws(DiagnosticError) -> [Target] {
    var targets: [Target] = []
    for file in try files() { targets.append(try load(file, shownAs: file.path)) }
    return targets
  }

  private static func files() throws(DiagnosticError) -> [URL] {
    guard let folder = ResourceLocator.folder("Targets") else {
      throw DiagnosticError(
        "resources.targets", "the folder of target files is not there",
        wayOut: "set SWIFTLET_HOME to the folder that holds Targets")
    }
    let all =
      (try? FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil))
      ?? []
    return all.filter { $0.pathExtension == "yaml" }.sorted { $0.path < $1.path }
  }

  private static func load(_ file: URL, shownAs name: String) throws(DiagnosticError) -> Target {
    let source = ByteSource(try MappedFile(file.path))
    guard source.count <= TargetFile.byteLimit else {
      throw DiagnosticError(
        "target.too-large", "has \(source.count) bytes, more than \(TargetFile.byteLimit)",
        at: SourceLocation(file: name))
    }
    let text = source.withBytes { String(validating: $0, as: UTF8.self) }
    guard let text else {
      throw DiagnosticError("target.yaml", "is not UTF-8", at: SourceLocation(file: name))
    }
    return try TargetFile.load(text, file: name)
  }
}
