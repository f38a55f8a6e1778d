extension Tokenizer {
  /// Reads a Hugging Face `tokenizer.json` with a BPE model: byte-level ones (GPT-2, SmolLM2,
  /// Llama 3, Qwen 2) and character-level ones with byte fallback (Llama 2).
  ///
  /// The pre-tokeniser is recognised by its structure and regular expressions. Text is expected to be
  /// normalised as the model wants it: a `NFC` normaliser is accepted and left to the caller.
  ///
  /// - Parameters:
  ///   - bos, eos, addsBOS: what the file leaves to `tokenizer_config.json`; nil takes the
  ///     post-processor's leading token as `bos` and looks for the usual names of `eos`.
  public init(
    huggingFaceJSON json: [UInt8], bos: Int32? = nil, eos: Int32? = nil, addsBOS: Bool? = nil
  ) throws(TokenizerError) {
    let root = try JSONValue(parsing: json)
    guard let model = root["model"] else { throw .malformed("there is no model", offset: nil) }
    if let type = model["type"]?.string, type != "BPE" {
      throw .unsupported("the tokenizer model “\(type)”")
    }
    for name in ["continuing_subword_prefix", "end_of_word_suffix"]
    where !(model[name]?.string ?? "").isEmpty {
      throw .unsupported("the model's \(name)")
    }
    var vocabulary = try HuggingFaceVocabulary(model: model)
    try vocabulary.add(root["added_tokens"])

    let layout = try HuggingFaceLayout(root: root)
    var traits = layout.traits
    if model["ignore_merges"]?.bool ?? false { traits.insert(.wholeWordFirst) }
    var options = TokenizerOptions(spacePrefix: layout.spacePrefix)
    if let name = model["unk_token"]?.string {
      guard let id = vocabulary.id(of: name) else {
        throw .malformed("the unknown token “\(name)” is not in the vocabulary", offset: nil)
      }
      options.unknown = id
      traits.insert(.emitsUnknown)
      if model["fuse_unk"]?.bool ?? false { traits.insert(.fusesUnknown) }
    }
    let leading = try Self.leadingToken(root["post_processor"], vocabulary: vocabulary)
    options.bos =
      bos ?? leading
      ?? ["<s>", "<|begin_of_text|>"].lazy
      .compactMap { vocabulary.id(of: $0) }.first
    options.eos =
      eos
      ?? ["</s>", "<|end_of_text|>", "<|im_end|>", "<|endoftext|>"].lazy
      .compactMap { vocabulary.id(of: $0) }.first
    options.addsBOS = addsBOS ?? (leading != nil)

    try self.init(
      vocabulary: vocabulary.pieces, types: vocabulary.types,
      pairs: try Self.merges(model["merges"]), preTokenizer: layout.preTokenizer,
      options: options, traits: traits, hasByteTokens: model["byte_fallback"]?.bool ?? false)
  }

  /// Merges as strings `"a b"` or as pairs `["a", "b"]`.
  private static func merges(_ json: JSONValue?) throws(TokenizerError) -> [(String, String)] {
    guard let list = json?.array else { throw .malformed("there are no merges", offset: nil) }
    var pairs: [(String, String)] = []
    pairs.reserveCapacity(list.count)
    for (index, item) in list.enumerated() {
      if let text = item.string {
        pairs.append(try splitMerge(text, index: index))
      } else if let parts = item.array, parts.count == 2, let left = parts[0].string,
        let right = parts[1].string
      {
        pairs.append((left, right))
      } else {
        throw .malformed("merge \(index) is neither a string nor a pair", offset: nil)
      }
    }
    return pairs
  }

  /// The token that the post-processor puts before a single text.
  private static func leadingToken(
    _ json: JSONValue?, vocabulary: HuggingFaceVocabulary
  ) throws(TokenizerError) -> Int32? {
    guard let json else { return nil }
    switch json["type"]?.string {
    case "Sequence":
      for item in json["processors"]?.array ?? [] {
        if let id = try leadingToken(item, vocabulary: vocabulary) { return id }
      }
      return nil
    case "TemplateProcessing":
      guard let name = json["single"]?.array?.first?["SpecialToken"]?["id"]?.string else {
        return nil
      }
      guard let id = vocabulary.id(of: name) else {
        throw .malformed("the leading token “\(name)” is not in the vocabulary", offset: nil)
      }
      return id
    case "ByteLevel": return nil
    default: throw .unsupported("the post-processor “\(json["type"]?.string ?? "?")”")
    }
  }
}

/// The vocabulary of a `tokenizer.json` by id.
private struct HuggingFaceVocabulary {
  var pieces: [String] = []
  var types: [TokenType] = []
  private var ids: [[UInt8]: Int32] = [:]

  init(model: JSONValue) throws(TokenizerError) {
    guard case .object(let members)? = model["vocab"] else {
      throw .malformed("there is no vocabulary", offset: nil)
    }
    for (piece, value) in members { try put(piece, value.integer, .normal) }
  }

  /// Adds the entries of `added_tokens`, most of which are in the vocabulary already.
  mutating func add(_ json: JSONValue?) throws(TokenizerError) {
    for item in json?.array ?? [] {
      guard let piece = item["content"]?.string else {
        throw .malformed("an added token has no content", offset: nil)
      }
      for name in ["lstrip", "rstrip", "single_word"] where item[name]?.bool ?? false {
        throw .unsupported("\(name) of the added token “\(piece)”")
      }
      try put(piece, item["id"]?.integer, item["special"]?.bool ?? false ? .control : .userDefined)
    }
    for (id, piece) in pieces.enumerated() where types[id] == .unused && piece.isEmpty {
      throw .missingID(id)
    }
  }

  private mutating func put(
    _ piece: String, _ id: Int?, _ type: TokenType
  ) throws(TokenizerError) {
    guard let id, id >= 0 else {
      throw .malformed("the piece “\(piece)” has no id", offset: nil)
    }
    guard id < TokenizerLimits.tokens else {
      throw .limit(what: "a token id", value: id, limit: TokenizerLimits.tokens - 1)
    }
    while pieces.count <= id {
      pieces.append("")
      types.append(.unused)
    }
    let key = Array(piece.utf8)
    if types[id] != .unused {
      guard type != .normal, pieces[id].utf8.elementsEqual(key) else { throw .duplicateID(id) }
    }
    if let earlier = ids[key], Int(earlier) != id {
      throw .duplicatePiece(piece, first: Int(earlier), second: id)
    }
    pieces[id] = piece
    types[id] = type
    ids[key] = Int32(id)
  }

  func id(of piece: String) -> Int32? { ids[Array(piece.utf8)] }
}

/// What the normaliser and the pre-tokeniser of a `tokenizer.json` amount to.
private struct HuggingFaceLayout {
  var traits: TokenizerTraits = []
  var spacePrefix = SpacePrefix.never
  var preTokenizer = PreTokenizer.none

  init(root: JSONValue) throws(TokenizerError) {
    try normalizer(root["normalizer"])
    try preTokenizer(root["pre_tokenizer"])
    if !traits.contains(.byteLevel) && !traits.contains(.lowLineIsSpace) {
      throw .unsupported("a vocabulary that is neither byte-level nor writes spaces as U+2581")
    }
    if traits.contains(.byteLevel) && traits.contains(.lowLineIsSpace) {
      throw .unsupported("a byte-level vocabulary that writes spaces as U+2581")
    }
  }

  private mutating func normalizer(_ json: JSONValue?) throws(TokenizerError) {
    guard let json else { return }
    switch json["type"]?.string {
    case "Sequence":
      for item in json["normalizers"]?.array ?? [] { try normalizer(item) }
    case "Prepend" where json["prepend"]?.string == "\u{2581}": spacePrefix = .always
    case "Replace"
    where json["pattern"]?["String"]?.string == " " && json["content"]?.string == "\u{2581}":
      traits.insert(.lowLineIsSpace)
    case "NFC": break
    default: throw .unsupported("the normaliser “\(json["type"]?.string ?? "?")”")
    }
  }

  private mutating func preTokenizer(_ json: JSONValue?) throws(TokenizerError) {
    guard let json else { return }
    let steps = json["type"]?.string == "Sequence" ? json["pretokenizers"]?.array ?? [] : [json]
    var digitsAlone = false
    for step in steps {
      switch step["type"]?.string {
      case "Digits":
        guard step["individual_digits"]?.bool ?? false else {
          throw .unsupported("the pre-tokeniser Digits without individual_digits")
        }
        digitsAlone = true
      case "Split": try split(step)
      case "ByteLevel":
        traits.insert(.byteLevel)
        if step["add_prefix_space"]?.bool ?? true {
          throw .unsupported("add_prefix_space of the pre-tokeniser ByteLevel")
        }
        if step["use_regex"]?.bool ?? true {
          guard preTokenizer == .none else {
            throw .unsupported("two regular expressions in the pre-tokeniser")
          }
          preTokenizer = digitsAlone ? .smollm : .gpt2
        } else if digitsAlone {
          throw .unsupported("the pre-tokeniser Digits with another than GPT-2's expression")
        }
      case "Metaspace":
        guard step["replacement"]?.string == "\u{2581}" else {
          throw .unsupported("Metaspace with another character than U+2581")
        }
        traits.insert(.lowLineIsSpace)
        if step["split"]?.bool ?? true { traits.insert(.cutsEverySpace) }
        switch step["prepend_scheme"]?.string ?? "always" {
        case "always": spacePrefix = .unlessPresent
        case "first": spacePrefix = .firstUnlessPresent
        default: spacePrefix = .never
        }
      default: throw .unsupported("the pre-tokeniser “\(step["type"]?.string ?? "?")”")
      }
    }
  }

  /// A split by one of the regular expressions we know.
  private mutating func split(_ step: JSONValue) throws(TokenizerError) {
    let pattern = step["pattern"]?["Regex"]?.string ?? ""
    guard step["behavior"]?.string == "Isolated", !(step["invert"]?.bool ?? false),
      let known = Self.patterns.first(where: { $0.0 == pattern })?.1
    else { throw .unsupported("a split by “\(pattern)”") }
    preTokenizer = known
  }

  private static let patterns: [(String, PreTokenizer)] = [
    (#"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#, .gpt2),
    (contractions + #"\p{N}{1,3}"# + rest, .llama3),
    (contractions + #"\p{N}"# + rest, .qwen2),
  ]
  private static let contractions =
    #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"#
  private static let rest = #"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#
}
