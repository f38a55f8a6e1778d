import Support

/// Where Vela put each tensor in the arena: the metadata entry `OfflineMemoryAllocation`.
///
/// The entry is a row of int32: version, number of subgraphs, number of tensors, then an offset per
/// tensor in file order; -1 leaves the place to the runtime (command-stream specification, section 1.3).
public struct TFLiteMemoryPlan: Sendable {
  /// The metadata entry's name.
  public static let metadataName = "OfflineMemoryAllocation"

  /// Byte offsets in the arena by subgraph and tensor; nil where the runtime decides.
  public let offsets: [[Int?]]

  init(_ data: ByteSource, tensors: [Int], file: String) throws(DiagnosticError) {
    let words = data.withBytes { bytes in
      (0..<bytes.count / 4).map {
        Int(Int32(littleEndian: bytes.loadUnaligned(fromByteOffset: $0 * 4, as: Int32.self)))
      }
    }
    let total = tensors.reduce(0, +)
    guard words.count == 3 + total, words[0] == 0, words[1] == tensors.count, words[2] == total
    else {
      throw DiagnosticError(
        "tflite.plan",
        "\(Self.metadataName) has \(words.count) words; a plan of \(total) tensors has \(3 + total)",
        at: SourceLocation(file: file))
    }
    var at = 3
    var offsets: [[Int?]] = []
    for count in tensors {
      offsets.append(words[at..<at + count].map { $0 < 0 ? nil : $0 })
      at += count
    }
    self.offsets = offsets
  }
}
