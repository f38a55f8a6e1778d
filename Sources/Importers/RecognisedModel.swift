import Containers
import Foundation
import Support

/// A model whose container has been recognised by its content and read.
struct RecognisedModel {
  /// The container's format.
  let format: ImportedModel.Format
  /// A name made of the path.
  let name: String
  /// The numbers and weights.
  let parts: LlamaParts

  /// Recognises a file or folder. Throws `import.unrecognised` when nothing fits.
  init(_ path: String) throws(DiagnosticError) {
    var isFolder: ObjCBool = false
    if FileManager.default.fileExists(atPath: path, isDirectory: &isFolder), isFolder.boolValue {
      try self.init(folder: path)
      return
    }
    let source = ByteSource(try MappedFile(path))
    let stem = URL(fileURLWithPath: path).deletingPathExtension().lastPathComponent
    if GGUFFile.matches(source) {
      let gguf = try GGUFFile(source, name: path)
      format = .gguf
      name = stem
      parts = try LlamaFromGGUF(gguf: gguf, file: path).parts()
    } else if Llama2cFile.hasMagic(source) || Llama2cFile.matchesLegacy(source) {
      let checkpoint = try Llama2cFile(source, name: path)
      format = .llama2c
      name = stem
      parts = try LlamaFromLlama2c(checkpoint: checkpoint, file: path).parts()
    } else if SafetensorsFile.matches(source) {
      try self.init(safetensors: SafetensorsSet(file: path), file: path)
    } else if Self.looksLikeIndex(source, path) {
      try self.init(safetensors: SafetensorsSet(index: path), file: path)
    } else {
      throw Self.unrecognised(source, path)
    }
  }

  private init(folder: String) throws(DiagnosticError) {
    let index = "\(folder)/model.safetensors.index.json"
    let single = "\(folder)/model.safetensors"
    if FileManager.default.fileExists(atPath: index) {
      try self.init(safetensors: SafetensorsSet(index: index), file: index)
    } else if FileManager.default.fileExists(atPath: single) {
      try self.init(safetensors: SafetensorsSet(file: single), file: single)
    } else {
      throw DiagnosticError(
        "import.unrecognised",
        "the folder holds neither model.safetensors nor model.safetensors.index.json",
        at: SourceLocation(file: folder), wayOut: "name the model file itself")
    }
  }

  private init(safetensors: SafetensorsSet, file: String) throws(DiagnosticError) {
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
    format = .safetensors
    name = folder.lastPathComponent
    parts = try LlamaFromHuggingFace(
      tensors: safetensors, config: config, configFile: configFile, file: file
    ).parts()
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
