import Containers
import Foundation
import GraphIR
import Support
import TensorCore

/// The front door: turns a model file into a graph, recognising it by content, not by name.
public enum ModelImporter {
  /// Loads a model: a GGUF file, a llama2.c checkpoint, a safetensors file or index with
  /// `config.json` beside it, or a folder that holds these.
  ///
  /// Files are mapped; weights stay in them until they are read. Throws `DiagnosticError` with codes
  /// `file.*`, `import.*`, `json.*` and those of the container (`gguf.*`, `llama2c.*`,
  /// `safetensors.*`, `tokenizer.*`).
  public static func load(
    _ path: String, _ options: ImportOptions = ImportOptions()
  ) throws(DiagnosticError) -> ImportedModel {
    let recognised = try RecognisedModel.read(path, tokenizer: options.tokenizer)
    return try finish(recognised, file: path, options)
  }

  private static func finish(
    _ model: RecognisedModel, file: String, _ options: ImportOptions
  ) throws(DiagnosticError) -> ImportedModel {
    let parts = model.parts
    let name = parts.name ?? model.name
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
      name: name, configuration: configuration, weights: parts.weights,
      prefillTokens: options.prefillTokens, scoreTokens: options.scoreTokens)
    return ImportedModel(
      format: model.format, architecture: parts.architecture, name: name,
      configuration: configuration,
      parameters: constants.reduce(0) { $0 + $1.type.shape.count }, tensors: constants.count,
      weightTypes: types, tokenizer: model.tokenizer, graph: graph)
  }
}
