/// The extents of a tensor, outermost first. A scalar has none.
public struct Shape: Hashable, Sendable, ExpressibleByArrayLiteral, CustomStringConvertible {
  /// The extents.
  public let dimensions: [Int]

  /// A shape of the given extents.
  public init(_ dimensions: [Int]) { self.dimensions = dimensions }

  /// A shape of the given extents.
  public init(arrayLiteral dimensions: Int...) { self.dimensions = dimensions }

  /// How many axes there are.
  public var rank: Int { dimensions.count }

  /// The extent of one axis.
  public subscript(axis: Int) -> Int { dimensions[axis] }

  /// The number of elements, or nil when an extent is negative or the product overflows.
  public var checkedCount: Int? {
    var product = 1
    for extent in dimensions {
      guard extent >= 0 else { return nil }
      let (next, overflow) = product.multipliedReportingOverflow(by: extent)
      if overflow { return nil }
      product = next
    }
    return product
  }

  /// The number of elements of a shape already known to be sound.
  public var count: Int { dimensions.reduce(1, *) }

  /// Extents joined by `x`; `scalar` without any.
  public var description: String {
    dimensions.isEmpty ? "scalar" : dimensions.map(String.init).joined(separator: "x")
  }
}
