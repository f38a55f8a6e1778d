/// One NPU_OP_DMA_START with its registers resolved.
struct Transfer {
  /// An end of a transfer.
  struct End {
    /// Region, or `nil` for the internal memory (SHRAM or LUT RAM).
    var region: Int?
    var address: Int
    /// Byte distances of the pieces.
    var stride0: Int
    var stride1: Int
  }

  var source: End
  var destination: End
  /// Bytes of a piece.
  var length: Int
  /// Pieces in a row, rows.
  var size0 = 1
  var size1 = 1

  /// U85: gather or scatter.
  var indices: Indices?

  /// Where the row numbers of a gather or scatter are.
  struct Indices {
    var region: Int
    /// Address of the first 32-bit index.
    var address: Int
    /// Largest legal index.
    var maximum: Int
    /// Bytes skipped after each row of `size0` indices.
    var skip: Int
    /// Whether they number rows of the source; otherwise of the destination.
    var areOfSource: Bool
  }

  /// All bytes moved.
  var totalBytes: Int { length &* size0 &* size1 }
}

extension Transfer {
  /// Lowest and highest-plus-one address of the source.
  var sourceBounds: (lower: Int, upper: Int) {
    bounds(source, isIndexed: indices.map(\.areOfSource) ?? false)
  }

  /// Lowest and highest-plus-one address of the destination.
  var destinationBounds: (lower: Int, upper: Int) {
    bounds(destination, isIndexed: indices.map { !$0.areOfSource } ?? false)
  }

  private func bounds(_ end: End, isIndexed: Bool) -> (lower: Int, upper: Int) {
    end.bounds(
      length: length, size0: isIndexed ? (indices?.maximum ?? 0) + 1 : size0, size1: size1)
  }
}

extension Transfer.End {
  /// Lowest and highest-plus-one address for pieces of `length` bytes.
  func bounds(length: Int, size0: Int, size1: Int) -> (lower: Int, upper: Int) {
    let a = stride0 &* (size0 &- 1)
    let b = stride1 &* (size1 &- 1)
    return (address &+ min(0, a) &+ min(0, b), address &+ max(0, a) &+ max(0, b) &+ length)
  }
}
