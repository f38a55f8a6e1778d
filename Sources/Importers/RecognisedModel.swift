import Containers
import Foundation
import Support
import Tokenizers

/// A model whose container has been recognised by its content and read.
struct RecognisedModel {
  /// The container's format.
  let format: ImportedModel.Format
  /// A name made of the path.
  let name: String
  /// The numbers and weights.
  let parts: LlamaParts
  /// The tokenizer that was named, or found inside or beside the model.
  let tokenizer: Tokenizer?

  /// Recognises a file or folder and reads it; `tokenizer` names a tokenizer file to use instead of
  /// the model's own. Throws `import.unrecognised` when nothing fits.
  static func read(
    _ path: String, tokenizer: String?
  ) throws(DiagnosticError) -> RecognisedModel {
    var isFolder: ObjCBool = false
    if FileManager.default.fileExists(atPath: path, isDirectory: &isFolder), isFolder.boolValue {
      return try read(folder: path, tokenizer: tokenizer)
    }
    let source = ByteSource(try MappedFile(path))
    if GGUFFile.matches(source) { return try read(gguf: source, path, tokenizer: tokenizer) }
    if Llama2cFile.hasMagic(source) || Llama2cFile.matchesLegacy(source) {
      return try read(llama2c: source, path, tokenizer: tokenizer)
    }
    if SafetensorsFile.matches(source) {
      return try read(safetensors: SafetensorsSet(file: path), path, tokenizer: tokenizer)
    }
    if looksLikeIndex(source, path) {
      return try read(safetensors: SafetensorsSet(index: path), path, tokenizer: tokenizer)
    }
    throw unrecognised(source, path)
  }

  private static func stem(_ path: String) -> String {
    URL(fileURLWithPath: path).deletingPathExtension().lastPathComponent
  }

  private static func read(
    gguf source: ByteSource, _ path: String, tokenizer: String?
  ) throws(DiagnosticError) -> RecognisedModel {
    let gguf = try GGUFFile(source, name: path)
    let parts = try LlamaFromGGUF(gguf: gguf, file: path).parts()
    let finder = TokenizerFinder(vocabulary: parts.configuration.vocabulary)
    return RecognisedModel(
      format: .gguf, name: stem(path), parts: parts,
      tokenizer: try finder.read(named: tokenizer) { () throws(DiagnosticError) in
        try finder.read(gguf, file: path)
      })
  }

  private static func read(
    llama2c source: ByteSource, _ path: String, tokenizer: String?
  ) throws(DiagnosticError) -> RecognisedModel {
    let checkpoint = try Llama2cFile(source, name: path)
    let parts = try LlamaFromLlama2c(checkpoint: checkpoint, file: path).parts()
    let finder = TokenizerFinder(vocabulary: parts.configuration.vocabulary)
    return RecognisedModel(
      format: .llama2c, name: stem(path), parts: parts,
      tokenizer: try finder.read(named: tokenizer) { () throws(DiagnosticError) in
        try finder.readBeside(checkpoint: path)
      })
  }

  private static func read(
    folder: String, tokenizer: String?
  ) throws(DiagnosticError) -> RecognisedModel {
    let index = "\(folder)/model.safetensors.index.json"
    let single = "\(folder)/model.safetensors"
    if FileManager.default.fileExists(atPath: index) {
      return try read(safetensors: SafetensorsSet(index: index), index, tokenizer: tokenizer)
    }
    if FileManager.default.fileExists(atPath: single) {
      return try read(safetensors: SafetensorsSet(file: single), single, tokenizer: tokenizer)
    }
    throw DiagnosticError(
      "import.unrecognised",
      "the folder holds neither model.safetensors nor model.safetensors.index.json",
      at: SourceLocation(file: folder), wayOut: "name the model file itself")
  }

  private static func read(
    safetensors: SafetensorsSet, _ file: String, tokenizer: String?
  ) throws(DiagnosticError) -> RecognisedModel {
    let folder = URL(fileURLWithPath: file).deletingLastPathComponent()
    let configFile = folder.appendingPathComponent("config.json").path
    guard FileManager.default.fileExists(atPath: configFile) else {
      throw DiagnosticError(
        "import.missing-config", "there is no config.json beside the weights",
        at: SourceLocation(file: file),
        wayOut: "put the model's config.json into the same folder")
    }
    let mapped = ByteSource(try MappedFile(configFile))
    let config = try mapped.withBytes { bytes throws(DiagnosticError) in
      try JSONValue(parsing: bytes, name: configFile)
    }
    let parts = try LlamaFromHuggingFace(
      tensors: safetensors, config: config, configFile: configFile, file: file
    ).parts()
    let finder = TokenizerFinder(vocabulary: parts.configuration.vocabulary)
    return RecognisedModel(
      format: .safetensors, name: folder.lastPathComponent, parts: parts,
      tokenizer: try finder.read(named: tokenizer) { () throws(DiagnosticError) in
        try finder.readBeside(safetensors: file, config: config)
      })
  }

  private static func looksLikeIndex(_ source: ByteSource, _ path: String) -> Bool {
    source.withBytes { bytes in
      guard bytes.first == UInt8(ascii: "{"),
        let json = try? JSONValue(parsing: bytes, name: path)
      else { return false }
      return json["weight_map"] != nil
    }
  }

  private static func unrecognised(_ source: ByteSource, _ path: String) -> DiagnosticError {
    if TFLiteModel.matches(source) {
      return DiagnosticError(
        "import.unrecognised", "is a TFLite model, which is no language model to compile",
        at: SourceLocation(file: path),
        wayOut:
          "swiftlet simulate runs it, swiftlet evaluate --samples --labels says how accurate it is")
    }
    var notes: [String] = []
    do {
      _ = try Llama2cFile(source, name: path)
    } catch {
      notes.append("read as a llama2.c checkpoint: \(error.diagnostics[0].message)")
    }
    return DiagnosticError(
      "import.unrecognised", "is not a model file of a known format",
      at: SourceLocation(file: path), notes: notes,
      wayOut: "use a GGUF file, a llama2.c checkpoint or safetensors with config.json")
  }
}
