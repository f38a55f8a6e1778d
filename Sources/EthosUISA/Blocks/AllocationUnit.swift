/// The piece in which a U85 stores IFM blocks: rows, columns, and depth in units of 128 bits.
struct AllocationUnit: Sendable, Hashable {
  let height: Int
  let width: Int
  let depthFactor: Int

  /// Channels of `bits`-wide elements in a piece.
  func depth(bits: Int) -> Int { depthFactor * 128 / bits }

  /// The piece for blocks of `depthBits` bits along the depth.
  ///
  /// Source: Vela 5.2.0's behaviour, checked against the RAM limits of the blocks it chooses.
  static func of(_ accelerator: Accelerator, microblock: BlockShape, depthBits: Int)
    -> AllocationUnit
  {
    let column = depthBits <= 128 ? 0 : depthBits <= 256 ? 1 : 2
    let isRow = microblock.height == 1 && microblock.width == 4
    let rows: [(Int, Int, Int)] =
      switch accelerator.macs {
      case 128: [(1, 2, 1), (1, 1, 2), (1, 1, 2)]
      case 256, 512: [isRow ? (1, 4, 1) : (2, 2, 1), (1, 2, 2), (1, 1, 4)]
      case 1024: [(2, 4, 1), isRow ? (1, 4, 2) : (2, 2, 2), (1, 2, 4)]
      default: [(4, 4, 1), (2, 4, 2), isRow ? (1, 4, 4) : (2, 2, 4)]
      }
    let (height, width, depth) = rows[column]
    return AllocationUnit(height: height, width: width, depthFactor: depth)
  }
}
