/// Weights of one operation in the order the datapath reads them.
///
/// Convolutions: `[ofm channel][ky][kx][ifm channel]`. Depthwise: `[ky][kx][channel]`.
final class DecodedWeights: @unchecked Sendable {
  /// Values; one of the two is used. Most weights fit 8 bits, which halves the memory read for each token.
  let bytes: UnsafeMutablePointer<Int8>?
  let words: UnsafeMutablePointer<Int16>?
  let count: Int

  /// Copies the values.
  init(_ values: some Collection<Int16>) {
    count = values.count
    if values.allSatisfy({ $0 == Int16(Int8(truncatingIfNeeded: $0)) }) {
      let memory = UnsafeMutablePointer<Int8>.allocate(capacity: max(1, count))
      for (i, value) in values.enumerated() { memory[i] = Int8(truncatingIfNeeded: value) }
      bytes = memory
      words = nil
    } else {
      let memory = UnsafeMutablePointer<Int16>.allocate(capacity: max(1, count))
      for (i, value) in values.enumerated() { memory[i] = value }
      bytes = nil
      words = memory
    }
  }

  deinit {
    bytes?.deallocate()
    words?.deallocate()
  }

  /// Host memory held.
  var byteCount: Int { bytes != nil ? count : count * 2 }
}
