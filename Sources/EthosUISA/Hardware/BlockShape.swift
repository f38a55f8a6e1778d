/// Height, width and depth of a block in elements.
public struct BlockShape: Sendable, Hashable, CustomStringConvertible {
  /// Rows.
  public var height: Int
  /// Columns.
  public var width: Int
  /// Channels.
  public var depth: Int

  /// A block of `height` × `width` × `depth` elements.
  public init(_ height: Int, _ width: Int, _ depth: Int) {
    self.height = height
    self.width = width
    self.depth = depth
  }

  /// Number of elements.
  public var elements: Int { height * width * depth }

  /// `HxWxD`.
  public var description: String { "\(height)x\(width)x\(depth)" }
}
