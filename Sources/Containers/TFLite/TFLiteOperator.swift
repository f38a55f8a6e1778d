import Support

/// What an operator computes: a builtin of the schema, or a custom operator's name.
public enum TFLiteOperatorCode: Sendable, Hashable, CustomStringConvertible {
  case builtin(TFLiteBuiltin)
  case custom(String)
  /// A builtin newer than our table.
  case unknown(Int32)

  /// The schema's name in capitals, or the custom name.
  public var description: String {
    switch self {
    case .builtin(let builtin): builtin.schemaName
    case .custom(let name): name
    case .unknown(let code): "builtin \(code)"
    }
  }
}

/// One operator of a TFLite subgraph.
public struct TFLiteOperator: Sendable {
  /// What it computes.
  public let code: TFLiteOperatorCode
  /// Tensor indices; nil where an optional input is left out. Within the subgraph's tensors.
  public let inputs: [Int?]
  /// Tensor indices, within the subgraph's tensors.
  public let outputs: [Int]
  /// Parsed options; ``TFLiteOptions/none`` where the operator has none we read.
  public let options: TFLiteOptions
  /// Bytes for a custom operator; empty without.
  public let customOptions: ByteSource
  /// Tensors of intermediate results, used for their quantisation only (LSTM).
  public let intermediates: [Int]

  /// The custom operator's name that Vela gives an NPU job.
  public static let ethosU = TFLiteOperatorCode.custom("ethos-u")
}
