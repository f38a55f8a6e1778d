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

  /// All bytes moved.
  var totalBytes: Int { length &* size0 &* size1 }
}

extension Transfer.End {
  /// Lowest and highest-plus-one address for pieces of `length` bytes.
  func bounds(length: Int, size0: Int, size1: Int) -> (lower: Int, upper: Int) {
    let a = stride0 &* (size0 &- 1)
    let b = stride1 &* (size1 &- 1)
    return (address &+ min(0, a) &+ min(0, b), address &+ max(0, a) &+ max(0, b) &+ length)
  }
}
