/// The `tokenizer.ggml.*` entries of a GGUF file, as plain values (ggml's GGUF specification).
public struct GGUFTokenizer: Sendable {
  /// `tokenizer.ggml.model`: `llama` or `gpt2`.
  public var model: String
  /// `tokenizer.ggml.pre`.
  public var pre: String?
  /// `tokenizer.ggml.tokens`.
  public var tokens: [String]
  /// `tokenizer.ggml.scores`.
  public var scores: [Float]?
  /// `tokenizer.ggml.token_type`.
  public var tokenTypes: [Int32]?
  /// `tokenizer.ggml.merges`.
  public var merges: [String]?
  /// `tokenizer.ggml.bos_token_id`.
  public var bos: UInt32?
  /// `tokenizer.ggml.eos_token_id`.
  public var eos: UInt32?
  /// `tokenizer.ggml.unknown_token_id`.
  public var unknown: UInt32?
  /// `tokenizer.ggml.padding_token_id`.
  public var padding: UInt32?
  /// `tokenizer.ggml.add_bos_token`.
  public var addsBOS: Bool?
  /// `tokenizer.ggml.add_space_prefix`.
  public var addsSpacePrefix: Bool?

  /// Entries of a tokenizer; all but the model and its tokens may be absent.
  public init(
    model: String, pre: String? = nil, tokens: [String], scores: [Float]? = nil,
    tokenTypes: [Int32]? = nil, merges: [String]? = nil, bos: UInt32? = nil, eos: UInt32? = nil,
    unknown: UInt32? = nil, padding: UInt32? = nil, addsBOS: Bool? = nil,
    addsSpacePrefix: Bool? = nil
  ) {
    self.model = model
    self.pre = pre
    self.tokens = tokens
    self.scores = scores
    self.tokenTypes = tokenTypes
    self.merges = merges
    self.bos = bos
    self.eos = eos
    self.unknown = unknown
    self.padding = padding
    self.addsBOS = addsBOS
    self.addsSpacePrefix = addsSpacePrefix
  }
}

extension Tokenizer {
  /// The tokenizer of a GGUF file, with the defaults its specification gives to absent entries:
  /// `llama` puts a space and the start-of-text token before text, `gpt2` puts neither.
  public init(gguf: GGUFTokenizer) throws(TokenizerError) {
    var types: [TokenType]?
    if let raw = gguf.tokenTypes {
      var list: [TokenType] = []
      list.reserveCapacity(min(raw.count, TokenizerLimits.tokens))
      for (id, value) in raw.enumerated() {
        // 0 is "undefined" in ggml's enumeration; files that use it mean normal tokens.
        guard let type = value == 0 ? .normal : UInt8(exactly: value).flatMap(TokenType.init)
        else { throw .malformed("token \(id) has the unknown type \(value)", offset: nil) }
        list.append(type)
      }
      types = list
    }
    func id(_ value: UInt32?, _ what: String) throws(TokenizerError) -> Int32? {
      guard let value else { return nil }
      guard let id = Int32(exactly: value), Int(id) < gguf.tokens.count else {
        throw .idOutOfRange(what: what, id: Int(value), count: gguf.tokens.count)
      }
      return id
    }
    var options = TokenizerOptions(
      bos: try id(gguf.bos, "start-of-text id"), eos: try id(gguf.eos, "end-of-text id"),
      unknown: try id(gguf.unknown, "unknown id"), padding: try id(gguf.padding, "padding id"))
    switch gguf.model {
    case "llama":
      guard let scores = gguf.scores else { throw .malformed("there are no scores", offset: nil) }
      // llama.cpp takes these three for granted in this model.
      if options.bos == nil && gguf.tokens.count > 2 { options.bos = 1 }
      if options.eos == nil && gguf.tokens.count > 2 { options.eos = 2 }
      if options.unknown == nil { options.unknown = 0 }
      options.addsBOS = gguf.addsBOS ?? true
      options.spacePrefix = gguf.addsSpacePrefix ?? true ? .always : .never
      try self.init(pieces: gguf.tokens, scores: scores, types: types, options: options)
    case "gpt2":
      guard let merges = gguf.merges else { throw .malformed("there are no merges", offset: nil) }
      let name = gguf.pre ?? "default"
      guard let preTokenizer = PreTokenizer(ggufName: name) else {
        throw .unsupported("the pre-tokeniser “\(name)”")
      }
      // Llama 3's files always want the start token, and take whole words before merging.
      options.addsBOS = gguf.addsBOS ?? (preTokenizer == .llama3)
      try self.init(
        vocabulary: gguf.tokens, types: types, merges: merges, preTokenizer: preTokenizer,
        options: options, wholeWordFirst: preTokenizer == .llama3)
    default: throw .unsupported("the tokenizer model “\(gguf.model)”")
    }
  }
}
