import Containers
import Foundation
import Support
import Tokenizers

/// Finds and reads the tokenizer that belongs to a model.
struct TokenizerFinder {
  /// Ids of the model.
  let vocabulary: Int

  /// The tokenizer of the file the user named, or else the model's own.
  func read(
    named path: String?, otherwise own: () throws(DiagnosticError) -> Tokenizer?
  ) throws(DiagnosticError) -> Tokenizer? {
    if let path { return try read(path) }
    return try own()
  }

  /// The tokenizer of a named file, recognised by content: GGUF, `tokenizer.json` or
  /// `tokenizer.bin`.
  func read(_ path: String) throws(DiagnosticError) -> Tokenizer {
    let source = ByteSource(try MappedFile(path))
    if GGUFFile.matches(source) {
      let gguf = try GGUFFile(source, name: path)
      guard let tokenizer = try read(gguf, file: path) else {
        throw DiagnosticError(
          "import.missing-tokenizer", "the file holds no tokenizer",
          at: SourceLocation(file: path, element: "tokenizer.ggml.model"))
      }
      return tokenizer
    }
    // A text file that begins with an object; the binary form begins with a small number, whose
    // low byte could be "{" too, but whose second byte would then be 0.
    let isJSON = source.withBytes { bytes in
      bytes.count > 1 && bytes[0] == UInt8(ascii: "{") && bytes[1] != 0
    }
    return isJSON
      ? try readJSON(source, file: path, config: nil) : try readLlama2c(source, file: path)
  }

  /// The tokenizer inside a GGUF file; nil when it has none.
  func read(_ gguf: GGUFFile, file: String) throws(DiagnosticError) -> Tokenizer? {
    func value(_ key: String) -> GGUFValue? { gguf.metadata["tokenizer.ggml.\(key)"] }
    guard case .string(let model)? = value("model"), model != "none",
      model != "no_vocab", case .strings(let tokens)? = value("tokens")
    else { return nil }
    func id(_ key: String) -> UInt32? { value(key)?.int.flatMap { UInt32(exactly: $0) } }
    func flag(_ key: String) -> Bool? {
      if case .bool(let flag)? = value(key) { flag } else { nil }
    }
    var entries = GGUFTokenizer(model: model, tokens: tokens)
    if case .string(let pre)? = value("pre") { entries.pre = pre }
    if case .reals(let scores)? = value("scores") { entries.scores = scores }
    if case .integers(let types)? = value("token_type") {
      entries.tokenTypes = types.map { Int32(clamping: $0) }
    }
    if case .strings(let merges)? = value("merges") { entries.merges = merges }
    entries.bos = id("bos_token_id")
    entries.eos = id("eos_token_id")
    entries.unknown = id("unknown_token_id")
    entries.padding = id("padding_token_id")
    entries.addsBOS = flag("add_bos_token")
    entries.addsSpacePrefix = flag("add_space_prefix")
    return try make(file) { () throws(TokenizerError) in try Tokenizer(gguf: entries) }
  }

  /// The tokenizer beside a llama2.c checkpoint: `tok<vocabulary>.bin`, `tokenizer.bin`, or another
  /// `tok*.bin` that fits the vocabulary; nil when there is none.
  func readBeside(checkpoint: String) throws(DiagnosticError) -> Tokenizer? {
    let url = URL(fileURLWithPath: checkpoint)
    let folder = url.deletingLastPathComponent()
    let listed = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
    let fixed = ["tok\(vocabulary).bin", "tokenizer.bin"].filter(listed.contains)
    let others = listed.filter {
      $0.hasPrefix("tok") && $0.hasSuffix(".bin") && !fixed.contains($0)
        && $0 != url.lastPathComponent
    }
    var firstProblem: DiagnosticError?
    for name in fixed + others.sorted() {
      do {
        return try read(folder.appendingPathComponent(name).path)
      } catch {
        if firstProblem == nil { firstProblem = error }
      }
    }
    if let firstProblem { throw firstProblem }
    return nil
  }

  /// The `tokenizer.json` in the folder of a Hugging Face model; nil when there is none. What it
  /// leaves open is taken from `config.json` and `tokenizer_config.json`.
  func readBeside(safetensors file: String, config: JSONValue) throws(DiagnosticError)
    -> Tokenizer?
  {
    let folder = URL(fileURLWithPath: file).deletingLastPathComponent()
    let path = folder.appendingPathComponent("tokenizer.json").path
    guard FileManager.default.fileExists(atPath: path) else { return nil }
    return try readJSON(ByteSource(try MappedFile(path)), file: path, config: config)
  }

  private func readLlama2c(
    _ source: ByteSource, file: String
  ) throws(DiagnosticError) -> Tokenizer {
    let bytes = source.withBytes { [UInt8]($0) }
    return try make(file) { () throws(TokenizerError) in
      try Tokenizer(llama2c: bytes, vocabularySize: vocabulary)
    }
  }

  private func readJSON(
    _ source: ByteSource, file: String, config: JSONValue?
  ) throws(DiagnosticError) -> Tokenizer {
    func id(_ key: String) -> Int32? {
      // Chat models list several ends of text; the first is the one of plain text.
      (config?[key]?.int ?? config?[key]?.elements?.first?.int).flatMap { Int32(exactly: $0) }
    }
    var addsBOS: Bool?
    let settings = URL(fileURLWithPath: file).deletingLastPathComponent()
      .appendingPathComponent("tokenizer_config.json").path
    if FileManager.default.fileExists(atPath: settings) {
      let json = try ByteSource(try MappedFile(settings)).withBytes {
        bytes throws(DiagnosticError) in
        try JSONValue(parsing: bytes, name: settings)
      }
      addsBOS = json["add_bos_token"]?.bool
    }
    let bytes = source.withBytes { [UInt8]($0) }
    return try make(file, padded: true) { () throws(TokenizerError) in
      try Tokenizer(
        huggingFaceJSON: bytes, bos: id("bos_token_id"), eos: id("eos_token_id"),
        addsBOS: addsBOS)
    }
  }

  /// Makes a tokenizer, names the file in its errors, and holds it to the model's vocabulary.
  /// Hugging Face models may pad the embedding (`padded`); others must match exactly.
  private func make(
    _ file: String, padded: Bool = false, _ body: () throws(TokenizerError) -> Tokenizer
  ) throws(DiagnosticError) -> Tokenizer {
    let tokenizer: Tokenizer
    do throws(TokenizerError) {
      tokenizer = try body()
    } catch {
      throw DiagnosticError(error.diagnostic(at: SourceLocation(file: file)))
    }
    guard tokenizer.count == vocabulary || (padded && tokenizer.count < vocabulary) else {
      throw DiagnosticError(
        "import.vocabulary-mismatch",
        "the tokenizer has \(tokenizer.count) tokens; the model has \(vocabulary)",
        at: SourceLocation(file: file),
        wayOut: "use the tokenizer the model was trained with (--tokenizer)")
    }
    return tokenizer
  }
}
