/// What a token of the vocabulary is for. The raw values are those of GGUF's
/// `tokenizer.ggml.token_type` (ggml's GGUF specification) and of SentencePiece's model file.
public enum TokenType: UInt8, Sendable, CaseIterable {
  /// A piece of text that encoding can produce by merging.
  case normal = 1
  /// Stands for text that the vocabulary cannot express.
  case unknown = 2
  /// Steers the model (start of text, end of turn); has no text of its own.
  case control = 3
  /// Text that is always one token, found before anything is merged.
  case userDefined = 4
  /// A hole in the vocabulary, never produced.
  case unused = 5
  /// One byte of a character that has no piece.
  case byte = 6
}
