import Containers
import Foundation
import GraphIR
import Support
import TensorCore

/// The front door: turns a model file into a graph, recognising it by content, not by name.
public enum ModelImporter {
  /// Loads a model: a GGUF file or a llama2.c checkpoint.
  ///
  /// The file is mapped; weights stay in it until they are read. Throws `DiagnosticError` with codes
  /// `file.*`, `import.*`, `gguf.*` and `llama2c.*`.
  public static func load(
    _ path: String, _ options: ImportOptions = ImportOptions()
  ) throws(DiagnosticError) -> ImportedModel {
    let source = ByteSource(try MappedFile(path))
    let stem = URL(fileURLWithPath: path).deletingPathExtension().lastPathComponent
    let format: ImportedModel.Format
    let parts: LlamaParts
    if GGUFFile.matches(source) {
      format = .gguf
      parts = try LlamaFromGGUF(gguf: GGUFFile(source, name: path), file: path).parts()
    } else if Llama2cFile.hasMagic(source) || Llama2cFile.matchesLegacy(source) {
      format = .llama2c
      parts = try LlamaFromLlama2c(checkpoint: Llama2cFile(source, name: path), file: path).parts()
    } else {
      throw unrecognised(source, path)
    }
    return try finish(parts, format: format, name: stem, file: path, options)
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

  static func finish(
    _ parts: LlamaParts, format: ImportedModel.Format, name: String, file: String,
    _ options: ImportOptions
  ) throws(DiagnosticError) -> ImportedModel {
    var configuration = parts.configuration
    let asked = options.context ?? min(configuration.modelContext, ImportOptions.defaultContext)
    guard asked >= 1, asked <= configuration.modelContext else {
      throw DiagnosticError(
        "import.context",
        "context \(asked) is not within the model's 1...\(configuration.modelContext)",
        at: SourceLocation(file: file),
        wayOut: "choose a context of at most \(configuration.modelContext)")
    }
    // The caches and the rotary table have this many rows (limit of Docs/Numerics.md).
    guard asked <= 16384 else {
      throw DiagnosticError(
        "import.context", "context \(asked) is above the limit of 16384",
        at: SourceLocation(file: file), wayOut: "choose a context of at most 16384")
    }
    configuration.context = asked
    let constants = parts.weights.all
    try WeightScan.requireFinite(constants, file: file)
    var types: [String: Int] = [:]
    for constant in constants {
      types[constant.data?.encoding.name ?? "none", default: 0] += constant.type.shape.count
    }
    let graph = LlamaBuilder.build(
      name: parts.name ?? name, configuration: configuration, weights: parts.weights,
      prefillTokens: options.prefillTokens, scoreTokens: options.scoreTokens)
    return ImportedModel(
      format: format, architecture: parts.architecture, name: parts.name ?? name,
      configuration: configuration,
      parameters: constants.reduce(0) { $0 + $1.type.shape.count }, tensors: constants.count,
      weightTypes: types, graph: graph)
  }
}
