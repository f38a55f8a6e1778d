import GraphIR
import Tokenizers

/// A model file's content, ready for the passes.
public struct ImportedModel: Sendable {
  /// The recognised formats.
  public enum Format: String, Sendable, Hashable {
    case gguf
    case llama2c
    case safetensors
  }

  /// The format of the file.
  public var format: Format
  /// The name of the architecture as the file states it, e.g. `llama`.
  public var architecture: String
  /// The model's name, from the file or its path.
  public var name: String
  /// The numbers that define the model.
  public var configuration: LlamaConfiguration
  /// Weights, each counted once.
  public var parameters: Int
  /// Tensors of the file that the model uses.
  public var tensors: Int
  /// How many weights each encoding holds, by its name (`float32`, `q4_1`, …).
  public var weightTypes: [String: Int]
  /// The tokenizer, from the option, inside the file or beside it; nil when there is none.
  public var tokenizer: Tokenizer?
  /// The canonical float graph.
  public var graph: Graph
}
