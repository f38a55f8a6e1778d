import ArgumentParser
import Foundation
import Importers
import ProgramFormat
import Support
import Tokenizers

/// `swiftlet tokenize`.
struct TokenizeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "tokenize", abstract: "Shows a text as the model's tokens.")

  @Argument(help: "A model or a package directory.")
  var model: String

  @Option(help: "The text file; '-' reads standard input.")
  var text: String

  @Flag(help: "Print one JSON object.")
  var json = false

  private struct Report: Encodable {
    let ids: [Int32]
    let text: String
  }

  func run() throws {
    let tokenizer = try TokenizerSource.load(model)
    let ids = tokenizer.encode(try TextFile.read(text))
    if json {
      try Console.json(Report(ids: ids, text: tokenizer.decode(ids)))
    } else {
      for id in ids {
        let piece = String(decoding: tokenizer.bytes(of: id, special: true), as: UTF8.self)
        print("\(id)\t\(piece.debugDescription)")
      }
    }
  }
}

/// Finds the tokenizer of a model or package.
enum TokenizerSource {
  /// The tokenizer. Throws `DiagnosticError` when there is none.
  static func load(_ path: String) throws(DiagnosticError) -> Tokenizer {
    if PackageReader.isPackage(path) {
      let program = try PackageReader.load(path, verify: false)
      guard program.tokenizer.count > 0 else { throw missing(path) }
      do {
        return try Tokenizer(blob: program.tokenizer.withBytes { Array($0) })
      } catch {
        throw DiagnosticError(error.diagnostic(at: SourceLocation(file: path)))
      }
    }
    guard let tokenizer = try ModelImporter.load(path).tokenizer else { throw missing(path) }
    return tokenizer
  }

  /// What to say when a model comes without a tokenizer.
  static func missing(_ path: String) -> DiagnosticError {
    DiagnosticError(
      "tokenizer.missing", "has no tokenizer", at: SourceLocation(file: path),
      wayOut: "put tokenizer.bin beside it, or name one with --tokenizer")
  }
}

/// Reads the user's text files.
enum TextFile {
  /// The largest text read.
  static let byteLimit = 1 << 30

  /// The text of a file, or of standard input for `-`.
  static func read(_ path: String) throws(DiagnosticError) -> String {
    if path == "-" {
      return String(decoding: FileHandle.standardInput.readDataToEndOfFile(), as: UTF8.self)
    }
    let file = ByteSource(try MappedFile(path))
    guard file.count <= byteLimit else {
      throw DiagnosticError(
        "file.too-large", "has \(file.count) bytes, more than \(byteLimit)",
        at: SourceLocation(file: path))
    }
    return file.withBytes { String(decoding: $0, as: UTF8.self) }
  }
}
