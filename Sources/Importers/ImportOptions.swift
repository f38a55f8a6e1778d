/// How a model is imported.
public struct ImportOptions: Sendable, Hashable {
  /// Rows of the KV cache; nil for the model's own context but at most `defaultContext`.
  public var context: Int?
  /// Tokens of one run of `prefill`.
  public var prefillTokens: Int
  /// Tokens of one run of `score`.
  public var scoreTokens: Int
  /// A tokenizer file (`tokenizer.bin`, `tokenizer.json` or a GGUF file) to use instead of the one
  /// inside or beside the model.
  public var tokenizer: String?

  /// The cache of a microcontroller is measured in kilobytes, so long-context models get this much
  /// unless more is asked for.
  public static let defaultContext = 512

  /// Options; the defaults suit a first look at any model.
  public init(
    context: Int? = nil, prefillTokens: Int = 16, scoreTokens: Int = 64, tokenizer: String? = nil
  ) {
    self.context = context
    self.prefillTokens = prefillTokens
    self.scoreTokens = scoreTokens
    self.tokenizer = tokenizer
  }
}
