import ProgramFormat
import Support

extension LanguageSession {
  /// Fills the room that a program reserves for a prefix: the simulated NPU reads the tokens, once and for
  /// all, and every conversation starts after them.
  ///
  /// - Parameters:
  ///   - program: compiled with `ProgramCompiler.Options.prefixTokens`.
  ///   - tokens: as many.
  ///
  /// Throws `DiagnosticError` when the program has another room, and as `prompt` does.
  public static func program(
    _ program: Program, startingWith tokens: [Int32]
  ) throws(DiagnosticError) -> Program {
    var empty = program
    let rows = program.manifest.position.fills.filter(\.isPrefix)
    empty.manifest.position.fills.removeAll(where: \.isPrefix)
    let session = try LanguageSession(empty)
    try session.prompt(tokens)
    let state = session.bytes(of: .state)
    var weights = program.weights.withBytes { Array($0) }
    var copied = 0
    for row in rows {
      for index in 0..<row.count {
        let from = row.offset + index * row.stride
        let to = row.source + index * row.sourceStride
        guard from >= 0, to >= 0, from + row.bytes <= state.count, to + row.bytes <= weights.count
        else { throw DiagnosticError("prefix.room", "the program's room lies outside its memory") }
        weights.replaceSubrange(to..<to + row.bytes, with: state[from..<from + row.bytes])
        copied += row.bytes
      }
    }
    guard copied > 0, session.position == tokens.count else {
      throw DiagnosticError("prefix.room", "the program has no room for \(tokens.count) tokens")
    }
    var filled = program
    filled.weights = ByteSource(weights)
    filled.manifest.position.prefixTokens = tokens.count
    return filled
  }
}
