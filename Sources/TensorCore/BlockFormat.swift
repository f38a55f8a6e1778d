/// The block formats of GGUF files that we read (the GGML family).
public enum BlockFormat: String, Sendable, Hashable, CaseIterable {
  // The names are those of the formats, as files and listings write them.
  // swift-format-ignore: AlwaysUseLowerCamelCase
  case q4_0, q4_1, q5_0, q5_1, q8_0
  // swift-format-ignore: AlwaysUseLowerCamelCase
  case q2_k, q3_k, q4_k, q5_k, q6_k

  /// Elements of one block.
  public var elementsPerBlock: Int {
    switch self {
    case .q4_0, .q4_1, .q5_0, .q5_1, .q8_0: 32
    case .q2_k, .q3_k, .q4_k, .q5_k, .q6_k: 256
    }
  }

  /// Bytes of one block.
  public var bytesPerBlock: Int {
    switch self {
    case .q4_0: 18
    case .q4_1: 20
    case .q5_0: 22
    case .q5_1: 24
    case .q8_0: 34
    case .q2_k: 84
    case .q3_k: 110
    case .q4_k: 144
    case .q5_k: 176
    case .q6_k: 210
    }
  }
}
