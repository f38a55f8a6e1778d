import Foundation
import Session
import Support
import Tokenizers

/// Cases with one right answer each: lines of `{"prompt": …, "expect": …}`.
public struct TaskFile: Sendable {
  /// One case.
  public struct Case: Codable, Sendable, Equatable {
    /// What the model reads.
    public var prompt: String
    /// What it must answer, to the character, white space around it aside.
    public var expect: String
  }

  /// The cases, in file order.
  public let cases: [Case]

  /// Reads a file. Throws `DiagnosticError` with the line of the first mistake.
  public init(_ path: String) throws(DiagnosticError) {
    let file = ByteSource(try MappedFile(path))
    let text = file.withBytes { String(decoding: $0, as: UTF8.self) }
    var cases: [Case] = []
    for (number, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated()
    where !line.allSatisfy(\.isWhitespace) {
      do {
        cases.append(try JSONDecoder().decode(Case.self, from: Data(line.utf8)))
      } catch {
        throw DiagnosticError(
          "task.line", "is not an object with 'prompt' and 'expect'",
          at: SourceLocation(file: path, line: number + 1))
      }
    }
    guard !cases.isEmpty else {
      throw DiagnosticError("task.empty", "has no cases", at: SourceLocation(file: path))
    }
    self.cases = cases
  }

  /// What a model of tokens answered: the text up to its end token or a line end.
  public static func answer(
    _ prompt: String, tokenizer: Tokenizer, context: Int, maxTokens: Int,
    next: ([Int32]) throws(DiagnosticError) -> Int32
  ) throws(DiagnosticError) -> String {
    var ids = tokenizer.encode(prompt)
    var decoder = StreamingDecoder(tokenizer)
    var text = ""
    var pending = ids
    for _ in 0..<maxTokens where ids.count < context {
      let token = try next(pending)
      if token == tokenizer.options.eos { break }
      text += decoder.append(token)
      if text.contains("\n") { break }
      ids.append(token)
      pending = [token]
    }
    text += decoder.finish()
    return String(text.prefix { $0 != "\n" })
  }
}
