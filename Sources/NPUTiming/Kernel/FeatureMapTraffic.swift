/// A feature map as its memory accesses need it: extent, width of an element, layout, where it is.
public struct FeatureMapTraffic: Sendable, Hashable {
  /// Stored extent in elements.
  public var height: Int
  public var width: Int
  public var depth: Int
  /// Bits of an element.
  public var bits: Int
  /// NHCWB16, bricks of 16 channels; otherwise NHWC.
  public var isBricked: Bool
  /// The base pointer it lies behind; `nil` for a map that never reaches memory.
  public var region: Int?
  /// Whether it goes through a chaining buffer.
  public var isChained = false

  /// A map.
  public init(
    height: Int, width: Int, depth: Int, bits: Int, isBricked: Bool = false, region: Int?,
    isChained: Bool = false
  ) {
    self.height = height
    self.width = width
    self.depth = depth
    self.bits = bits
    self.isBricked = isBricked
    self.region = region
    self.isChained = isChained
  }

  /// Bytes of the map without gaps.
  public var bytes: Int { height * width * depth * bits / 8 }
}
