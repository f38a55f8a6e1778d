import Support

/// What is wrong with a tokenizer's data.
public enum TokenizerError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The data ends before `what`, which starts at byte `offset`.
  case truncated(what: String, offset: Int)
  /// A count or size is above what any tokenizer needs.
  case limit(what: String, value: Int, limit: Int)
  /// Two things that must have the same number of entries have not.
  case vocabularyMismatch(what: String, expected: Int, found: Int)
  /// The data breaks its format's rules.
  case malformed(String, offset: Int?)
  /// The same piece of text has two ids.
  case duplicatePiece(String, first: Int, second: Int)
  /// Two pieces have the same id.
  case duplicateID(Int)
  /// No piece has this id, which lies within the vocabulary.
  case missingID(Int)
  /// An id is outside the vocabulary.
  case idOutOfRange(what: String, id: Int, count: Int)
  /// Merge number `index` names, or results in, a piece that the vocabulary lacks.
  case missingMergePart(index: Int, piece: String)
  /// The pair of merge number `index` occurs before.
  case duplicateMerge(index: Int)
  /// A score is not a number.
  case badScore(id: Int)
  /// The data is well formed, but uses a feature that this tokenizer lacks.
  case unsupported(String)
  /// The checksum does not fit the content.
  case checksum

  /// What is wrong, in one sentence.
  public var description: String {
    switch self {
    case .truncated(let what, let offset):
      "the tokenizer data ends before the \(what) at byte \(offset)"
    case .limit(let what, let value, let limit): "\(what) is \(value), more than \(limit)"
    case .vocabularyMismatch(let what, let expected, let found):
      "the tokenizer has \(found) \(what) where \(expected) are expected"
    case .malformed(let why, let offset):
      "malformed tokenizer: \(why)" + (offset.map { " (byte \($0))" } ?? "")
    case .duplicatePiece(let piece, let first, let second):
      "tokens \(first) and \(second) are both “\(piece)”"
    case .duplicateID(let id): "two pieces have the id \(id)"
    case .missingID(let id): "no piece has the id \(id)"
    case .idOutOfRange(let what, let id, let count):
      "the \(what) \(id) is outside the vocabulary of \(count)"
    case .missingMergePart(let index, let piece):
      "merge \(index) needs the piece “\(piece)”, which the vocabulary lacks"
    case .duplicateMerge(let index): "merge \(index) repeats an earlier pair"
    case .badScore(let id): "the score of token \(id) is not a finite number"
    case .unsupported(let what): "not supported: \(what)"
    case .checksum: "the tokenizer's checksum does not fit its content: the file is damaged"
    }
  }

  /// The stable diagnostic code of this error.
  public var code: String {
    switch self {
    case .truncated: "tokenizer.truncated"
    case .limit: "tokenizer.limit"
    case .vocabularyMismatch: "tokenizer.vocabulary-mismatch"
    case .malformed: "tokenizer.malformed"
    case .duplicatePiece, .duplicateID: "tokenizer.duplicate"
    case .missingID, .idOutOfRange: "tokenizer.id"
    case .missingMergePart, .duplicateMerge: "tokenizer.merge"
    case .badScore: "tokenizer.score"
    case .unsupported: "tokenizer.unsupported"
    case .checksum: "tokenizer.checksum"
    }
  }

  /// The error as a diagnostic about a file.
  public func diagnostic(at location: SourceLocation? = nil) -> Diagnostic {
    var location = location
    switch self {
    case .truncated(_, let offset): location?.byteOffset = offset
    case .malformed(_, let offset): location?.byteOffset = offset
    default: break
    }
    return Diagnostic(code, description, at: location)
  }
}
