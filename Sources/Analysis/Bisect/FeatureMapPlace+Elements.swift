import EthosUISA

extension FeatureMapPlace {
  /// The map's elements, row by row, without what lies between them; nil when some are not in memory.
  ///
  /// - Parameter memory: reads bytes behind a base pointer.
  func elements(_ memory: (_ base: Int, _ bytes: Range<Int>) -> [UInt8]?) -> [UInt8]? {
    guard !isChained else { return nil }
    guard let layout, !layout.isBlocked, shape.height * shape.width <= 1 << 24 else {
      return memory(region, bytes)
    }
    let (rowBytes, isLarge) = shape.depth.multipliedReportingOverflow(by: layout.elementBytes)
    guard !isLarge, rowBytes > 0 else { return nil }
    var result: [UInt8] = []
    for y in 0..<shape.height {
      for x in 0..<shape.width {
        let start = base &+ y &* layout.strides.height &+ x &* layout.strides.width
        let (end, isFar) = start.addingReportingOverflow(rowBytes)
        guard !isFar, let row = memory(region, start..<end) else { return nil }
        result += row
      }
    }
    return result
  }
}
