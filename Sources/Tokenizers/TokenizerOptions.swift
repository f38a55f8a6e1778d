/// How encoding puts a space before text, so that a word at the start looks like one in the middle.
public enum SpacePrefix: UInt8, Sendable, CaseIterable {
  /// Text is taken as it is.
  case never
  /// One space before the text, and after each special token (SentencePiece's dummy prefix).
  case always
  /// As `always`, but not before text that starts with a space.
  case unlessPresent
  /// As `unlessPresent`, at the start of the whole text alone.
  case firstUnlessPresent
}

/// Facts about a tokenizer that stand beside its vocabulary.
public struct TokenizerOptions: Hashable, Sendable {
  /// The token that starts a text.
  public var bos: Int32?
  /// The token that ends a text.
  public var eos: Int32?
  /// The token for text that cannot be expressed.
  public var unknown: Int32?
  /// The token that fills up batches.
  public var padding: Int32?
  /// Whether encoding starts with `bos` unless told otherwise.
  public var addsBOS: Bool
  /// How a space is put before text. Of byte-level tokenizers, only `never` is supported.
  public var spacePrefix: SpacePrefix

  /// Options, all absent or off unless given.
  public init(
    bos: Int32? = nil, eos: Int32? = nil, unknown: Int32? = nil, padding: Int32? = nil,
    addsBOS: Bool = false, spacePrefix: SpacePrefix = .never
  ) {
    self.bos = bos
    self.eos = eos
    self.unknown = unknown
    self.padding = padding
    self.addsBOS = addsBOS
    self.spacePrefix = spacePrefix
  }
}
