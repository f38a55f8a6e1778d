import Support

/// One graph of operators in the order of execution.
public struct TFLiteSubgraph: Sendable {
  /// The graph's name; often empty.
  public let name: String
  /// All tensors.
  public let tensors: [TFLiteTensor]
  /// Tensor indices of the graph's inputs.
  public let inputs: [Int]
  /// Tensor indices of the graph's outputs.
  public let outputs: [Int]
  /// The operators.
  public let operators: [TFLiteOperator]
}

/// A TFLite file: verified, parsed, and its buffers left in place.
///
/// Source of the layout: the public TFLite schema (file identifier `TFL3`, schema version 3).
public struct TFLiteModel: Sendable {
  /// The file's name.
  public let name: String
  /// The writer's words about the model; often empty.
  public let description: String
  /// The graphs; the first is the one that runs.
  public let subgraphs: [TFLiteSubgraph]
  /// Named blobs beside the graphs.
  public let metadata: [(name: String, data: ByteSource)]

  /// Whether bytes look like a TFLite file.
  public static func matches(_ source: ByteSource) -> Bool {
    source.withBytes { bytes in
      bytes.count >= 8 && bytes[4..<8].elementsEqual("TFL3".utf8)
    }
  }

  /// Reads a file. Throws `DiagnosticError` with codes `tflite.*`.
  public init(_ source: ByteSource, name: String) throws(DiagnosticError) {
    self.name = name
    let parts = try source.withBytes { bytes throws(DiagnosticError) in
      var reader = TFLiteReader(bytes, source: source, name: name)
      return try reader.model()
    }
    description = parts.description
    subgraphs = parts.subgraphs
    metadata = parts.metadata
  }

  /// The plan of tensor places that Vela writes; nil without.
  ///
  /// - Throws: `tflite.plan` when it does not fit the model's tensors.
  public func offlineMemoryPlan() throws(DiagnosticError) -> TFLiteMemoryPlan? {
    guard let entry = metadata.first(where: { $0.name == TFLiteMemoryPlan.metadataName }) else {
      return nil
    }
    return try TFLiteMemoryPlan(entry.data, tensors: subgraphs.map(\.tensors.count), file: name)
  }
}
