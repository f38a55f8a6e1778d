/// Turns text into the token ids a language model was trained with, and back.
///
/// Two kinds cover today's small models: `sentencePiece` (Llama 2, TinyLlama, llama2.c: pieces with
/// scores, the best-scored pair of neighbours merges first) and `bytePairEncoding` (GPT-2, SmolLM,
/// Llama 3, Qwen: a ranked list of merges, on words that a pre-tokeniser cut). A tokenizer is an
/// immutable value. Everything that `init` accepts can be encoded and decoded without a trap.
public struct Tokenizer: Sendable {
  /// How pieces are merged.
  public enum Kind: UInt8, Sendable {
    /// By the score of the resulting piece, looked up by its text.
    case sentencePiece = 1
    /// By the rank of the pair in a list of merges.
    case bytePairEncoding = 2
  }

  /// How pieces are merged.
  public let kind: Kind
  /// How text is cut into words first; `none` for `sentencePiece`.
  public let preTokenizer: PreTokenizer
  /// Special tokens and the like.
  public let options: TokenizerOptions
  /// How the vocabulary is applied.
  let traits: TokenizerTraits
  let pieces: PieceTable
  let types: [TokenType]
  /// `sentencePiece`: merging order of each piece; equal scores have equal ranks. Else empty.
  let scoreRanks: [UInt32]
  let merges: MergeTable
  /// The token of each byte: all symbols of byte-level kinds, the fallback of the others; -1: none.
  let byteTokens: [Int32]
  let specials: SpecialTokens

  /// How many tokens there are; ids are below.
  public var count: Int { types.count }

  /// The one place where a tokenizer comes into being: checks what all sources have in common, and
  /// derives the tables for look-up.
  ///
  /// - Parameters:
  ///   - scoreRanks: one for each piece for `sentencePiece`, empty otherwise.
  ///   - byteTokens: 256 ids or -1.
  init(
    kind: Kind, preTokenizer: PreTokenizer, options: TokenizerOptions, traits: TokenizerTraits,
    pieces: PieceTable, types: [TokenType], scoreRanks: [UInt32], merges: [Merge],
    byteTokens: [Int32]
  ) throws(TokenizerError) {
    let count = types.count
    guard count > 0 else { throw .malformed("the vocabulary is empty", offset: nil) }
    guard count <= TokenizerLimits.tokens else {
      throw .limit(what: "the vocabulary", value: count, limit: TokenizerLimits.tokens)
    }
    guard pieces.count == count else {
      throw .vocabularyMismatch(what: "pieces", expected: count, found: pieces.count)
    }
    guard kind == .bytePairEncoding || scoreRanks.count == count else {
      throw .vocabularyMismatch(what: "scores", expected: count, found: scoreRanks.count)
    }
    guard kind == .bytePairEncoding || (merges.isEmpty && preTokenizer == .none) else {
      throw .malformed("a scored vocabulary has neither merges nor words", offset: nil)
    }
    guard kind == .sentencePiece || scoreRanks.isEmpty else {
      throw .malformed("a merging vocabulary has no scores", offset: nil)
    }
    let isByteLevel = traits.contains(.byteLevel)
    guard !isByteLevel || options.spacePrefix == .never else {
      throw .unsupported("a space put before byte-level text (add_prefix_space)")
    }
    guard isByteLevel || preTokenizer == .none else {
      throw .unsupported("words by regular expression in a vocabulary that is not byte-level")
    }
    guard !isByteLevel || kind == .bytePairEncoding else {
      throw .unsupported("scores in a byte-level vocabulary")
    }
    let named = [
      ("start-of-text id", options.bos), ("end-of-text id", options.eos),
      ("unknown id", options.unknown), ("padding id", options.padding),
    ]
    for (what, id) in named {
      if let id, id < 0 || Int(id) >= count {
        throw .idOutOfRange(what: what, id: Int(id), count: count)
      }
    }
    guard byteTokens.count == 256, byteTokens.allSatisfy({ $0 >= -1 && Int($0) < count }) else {
      throw .malformed("the byte tokens are not 256 ids", offset: nil)
    }
    guard scoreRanks.allSatisfy({ Int($0) < count }) else {
      throw .malformed("a score rank is outside the vocabulary", offset: nil)
    }
    var pieces = pieces
    try pieces.index { types[$0] == .normal }
    for (index, merge) in merges.enumerated() {
      for id in [merge.left, merge.right, merge.result] where Int(id) >= count {
        throw .idOutOfRange(what: "id in merge \(index)", id: Int(id), count: count)
      }
      let left = pieces.piece(Int(merge.left))
      let right = pieces.piece(Int(merge.right))
      let result = pieces.piece(Int(merge.result))
      guard !left.isEmpty, !right.isEmpty, left.count + right.count == result.count,
        result.starts(with: left), result.dropFirst(left.count).elementsEqual(right)
      else {
        throw .malformed(
          "merge \(index) does not join “\(pieces.text(Int(merge.left)))” and "
            + "“\(pieces.text(Int(merge.right)))” into “\(pieces.text(Int(merge.result)))”",
          offset: nil)
      }
    }
    self.kind = kind
    self.preTokenizer = preTokenizer
    self.options = options
    self.types = types
    self.scoreRanks = scoreRanks
    self.byteTokens = byteTokens
    self.merges = try MergeTable(merges)
    specials = SpecialTokens(pieces: pieces, types: types)
    self.pieces = pieces
    // Whether text may be cut before each run of spaces without changing what merges.
    var traits = traits
    let joined = pieces.joinsTextAndSpace {
      kind == .sentencePiece && types[$0] == .normal || kind == .bytePairEncoding
    }
    if isByteLevel || joined {
      traits.remove(.cutsBeforeSpaces)
    } else {
      traits.insert(.cutsBeforeSpaces)
    }
    self.traits = traits
  }

  /// The kind of a token, or nil for an id outside the vocabulary.
  public func type(of id: Int32) -> TokenType? {
    id >= 0 && Int(id) < count ? types[Int(id)] : nil
  }

  /// The token with exactly this text: a special token if there is one, else a normal piece.
  ///
  /// Useful to find control tokens such as `<|im_end|>` by name.
  public func token(named text: String) -> Int32? {
    let key = Array(text.utf8)
    return specials.find(key, in: pieces) ?? pieces.find(key).map { Int32($0) }
  }
}

/// How a vocabulary is applied to text.
struct TokenizerTraits: OptionSet, Hashable, Sendable {
  let rawValue: UInt32

  /// Symbols start as bytes, each of which has a token; otherwise they start as characters.
  static let byteLevel = Self(rawValue: 1 << 0)
  /// U+2581 in text is the same as a space (in pieces it was replaced by one already).
  static let lowLineIsSpace = Self(rawValue: 1 << 1)
  /// No piece has a space after another character, so that text may be cut before spaces.
  static let cutsBeforeSpaces = Self(rawValue: 1 << 2)
  /// Text is cut before every single space.
  static let cutsEverySpace = Self(rawValue: 1 << 3)
  /// A word that is a piece as a whole becomes that token, whatever the merges say.
  static let wholeWordFirst = Self(rawValue: 1 << 4)
  /// A symbol without token becomes the unknown token; otherwise it is left out.
  static let emitsUnknown = Self(rawValue: 1 << 5)
  /// Unknown symbols in a row become one unknown token.
  static let fusesUnknown = Self(rawValue: 1 << 6)

  /// All bits that have a meaning.
  static let all = Self(rawValue: 0x7F)
}

extension PieceTable {
  /// Whether any of the pieces has a space after a character that is none.
  func joinsTextAndSpace(where isUsed: (Int) -> Bool) -> Bool {
    for id in 0..<count where isUsed(id) {
      var hadText = false
      for byte in piece(id) {
        if byte != 0x20 { hadText = true } else if hadText { return true }
      }
    }
    return false
  }
}
