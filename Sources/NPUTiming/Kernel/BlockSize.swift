/// Height, width and depth of a block of a feature map, in elements.
public struct BlockSize: Sendable, Hashable {
  /// The extents.
  public var height: Int
  public var width: Int
  public var depth: Int

  /// A size.
  public init(_ height: Int, _ width: Int, _ depth: Int) {
    self.height = height
    self.width = width
    self.depth = depth
  }
}
