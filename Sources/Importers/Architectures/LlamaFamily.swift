/// Architectures that differ from Llama in their norms, biases and feed-forward part alone.
enum LlamaFamily: String, CaseIterable, Sendable {
  case llama
  case mistral
  case starcoder2
  case stablelm
  case olmo

  /// The family of a GGUF file by its `general.architecture`; Mistral models are `llama` there.
  init?(gguf architecture: String) {
    guard let family = LlamaFamily(rawValue: architecture), family != .mistral else { return nil }
    self = family
  }

  /// The family by the class that `architectures` of a `config.json` names.
  init?(modelClass: String) {
    let known: [String: LlamaFamily] = [
      "LlamaForCausalLM": .llama, "MistralForCausalLM": .mistral,
      "Starcoder2ForCausalLM": .starcoder2, "StableLmForCausalLM": .stablelm,
      "OlmoForCausalLM": .olmo,
    ]
    guard let family = known[modelClass] else { return nil }
    self = family
  }

  /// What its norms compute.
  var norm: LlamaConfiguration.Norm {
    switch self {
    case .llama, .mistral: .rms
    case .starcoder2, .stablelm, .olmo: .layer
    }
  }

  /// Whether its norms have weights; OLMo's have none (Groeneveld et al., OLMo, 2024, section 2.1).
  var hasNormWeights: Bool { self != .olmo }

  /// Whether the feed-forward part multiplies two layers' results.
  var hasGate: Bool { self != .starcoder2 }

  /// The activation of files that do not name one: all GGUF files, and the defaults of Hugging Face's
  /// configurations.
  var activation: LlamaConfiguration.Activation { self == .starcoder2 ? .tanhGelu : .silu }

  /// Whether `config.json` means a shared head when it does not say.
  var isTiedByDefault: Bool { self == .starcoder2 }

  /// The part of a head that rotates when `config.json` does not say.
  var rotaryPart: Double { self == .stablelm ? 0.25 : 1 }

  /// Whether GGUF files hold rows of queries and keys by halves of a head's rotating channels, as Hugging
  /// Face does; llama.cpp's converter permutes the others' rows to neighbours.
  var hasHalvesInGGUF: Bool { self == .starcoder2 || self == .stablelm }

  /// The names of all, for messages.
  static var names: String { allCases.map(\.rawValue).joined(separator: ", ") }
}
