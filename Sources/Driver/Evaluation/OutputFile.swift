import Foundation
import Support

/// Writes reports so that a reader never sees half of one.
enum OutputFile {
  /// Writes a text file in one step: beside its place, then renamed.
  static func write(_ text: String, to path: String) throws(DiagnosticError) {
    do {
      try Data(text.utf8).write(to: URL(fileURLWithPath: path), options: .atomic)
    } catch {
      throw DiagnosticError(
        "output.write", "cannot write: \(error.localizedDescription)",
        at: SourceLocation(file: path))
    }
  }
}
