extension Tokenizer {
  /// Reads llama2.c's `tokenizer.bin` (karpathy/llama2.c, `tokenizer.py`): the longest piece's length,
  /// then for each token its score (float), length and bytes, all little endian.
  ///
  /// The format names no special tokens; as in llama2.c they are 1 (start, written before each text)
  /// and 2 (end), whose pieces `\n<s>\n` lose the line ends. A space is put before text.
  ///
  /// - Parameters:
  ///   - data: the whole file.
  ///   - vocabularySize: how many tokens the model has; nil takes what the file holds.
  public init(llama2c data: [UInt8], vocabularySize: Int? = nil) throws(TokenizerError) {
    var cursor = ByteCursor(data)
    let longest = Int(try cursor.word("longest piece's length"))
    guard longest <= TokenizerLimits.pieceBytes else {
      throw .limit(
        what: "the longest piece's length", value: longest, limit: TokenizerLimits.pieceBytes)
    }
    if let vocabularySize, vocabularySize < 0 || vocabularySize > TokenizerLimits.tokens {
      throw .limit(what: "the vocabulary", value: vocabularySize, limit: TokenizerLimits.tokens)
    }
    var pieces: [[UInt8]] = []
    var scores: [Float] = []
    while cursor.left > 0 {
      let id = pieces.count
      if let vocabularySize, id == vocabularySize {
        throw .malformed(
          "\(cursor.left) bytes follow the \(id) tokens of the model", offset: cursor.offset)
      }
      guard id < TokenizerLimits.tokens else {
        throw .limit(what: "the vocabulary", value: id + 1, limit: TokenizerLimits.tokens)
      }
      scores.append(Float(bitPattern: try cursor.word("score of token \(id)")))
      let place = cursor.offset
      let length = Int(try cursor.word("length of token \(id)"))
      guard length <= longest else {
        throw .malformed(
          "token \(id) is \(length) bytes long, the longest is said to be \(longest)",
          offset: place)
      }
      var piece = Array(try cursor.take(length, "piece of token \(id)"))
      // The file decorates the two special tokens so that they print on lines of their own.
      if piece.elementsEqual("\n<s>\n".utf8) || piece.elementsEqual("\n</s>\n".utf8) {
        piece = piece.filter { $0 != 0x0A }
      }
      pieces.append(piece)
    }
    if let vocabularySize, pieces.count != vocabularySize {
      throw .vocabularyMismatch(what: "tokens", expected: vocabularySize, found: pieces.count)
    }
    guard pieces.count > 2 else {
      throw .malformed("a llama2.c tokenizer has at least 3 tokens", offset: nil)
    }
    try self.init(
      rawPieces: pieces, scores: scores, types: nil,
      options: TokenizerOptions(bos: 1, eos: 2, unknown: 0, addsBOS: true, spacePrefix: .always),
      lowLineIsSpace: false)
  }
}
