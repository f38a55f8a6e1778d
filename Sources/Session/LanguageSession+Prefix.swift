import ProgramFormat
import Support

extension LanguageSession {
  /// The cache rows of the first `tokens` positions, head by head, as a program's prefix holds them; nil
  /// when there are not as many.
  func cacheRows(_ tokens: Int) -> [UInt8]? {
    let place = program.manifest.position
    let state = bytes(of: .state)
    let head = program.manifest.model.context * place.cacheRowBytes
    guard tokens >= 0, tokens <= position, place.cacheHeads * head <= state.count else {
      return nil
    }
    return (0..<place.cacheHeads).flatMap {
      state[$0 * head..<$0 * head + tokens * place.cacheRowBytes]
    }
  }

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
    let session = try LanguageSession(program)
    try session.prompt(tokens)
    let offset = program.manifest.position.prefixOffset
    guard let rows = session.cacheRows(tokens.count), !rows.isEmpty, offset > 0,
      offset + rows.count <= program.weights.count
    else {
      throw DiagnosticError("prefix.room", "the program has no room for \(tokens.count) tokens")
    }
    var filled = program
    var weights = program.weights.withBytes { Array($0) }
    weights.replaceSubrange(offset..<offset + rows.count, with: rows)
    filled.weights = ByteSource(weights)
    filled.manifest.position.prefixTokens = tokens.count
    return filled
  }
}
