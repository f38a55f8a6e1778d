import Support
import Yams

/// Reads target files.
///
/// Every mistake is reported with line and column; all that can be found in one reading are thrown
/// together.
public enum TargetFile {
  /// The largest file read; ours have two kilobytes.
  static let byteLimit = 1 << 18

  /// Parses one target.
  ///
  /// Throws `DiagnosticError` for text that is not YAML, anchors and aliases, unknown, duplicate or
  /// missing keys, values of the wrong kind, impossible numbers, overlapping memories, and placement
  /// in unknown or unsuitable memories.
  public static func load(_ text: String, file: String) throws(DiagnosticError) -> Target {
    guard text.utf8.count <= byteLimit else {
      throw DiagnosticError(
        "target.too-large", "has \(text.utf8.count) bytes, more than \(byteLimit)",
        at: SourceLocation(file: file))
    }
    var reader = TargetReader(file: file)
    reader.rejectAliases(text)
    if !reader.problems.isEmpty { throw DiagnosticError(reader.problems) }
    let root: Node
    do {
      let parser = try Parser(yaml: text)
      guard let node = try parser.singleRoot() else {
        throw DiagnosticError("target.empty", "is empty", at: SourceLocation(file: file))
      }
      root = node
    } catch let error as DiagnosticError {
      throw error
    } catch {
      throw DiagnosticError(
        "target.yaml", "is not YAML: \(error)", at: SourceLocation(file: file))
    }
    let target = reader.target(root)
    if !reader.problems.isEmpty { throw DiagnosticError(reader.problems) }
    guard let target else {
      throw DiagnosticError("target.yaml", "describes no target", at: SourceLocation(file: file))
    }
    return target
  }
}
