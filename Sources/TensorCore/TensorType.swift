/// The order of a tensor's elements in memory.
public enum Layout: String, Sendable, Hashable, CaseIterable {
  /// Row-major, channels innermost: what every tensor is unless it says otherwise.
  case nhwc
  /// Bricks of 16 channels (command-stream specification, section 4.3).
  case nhcwb16
}

/// The static type of a tensor: shape, element, quantisation, layout.
public struct TensorType: Hashable, Sendable {
  /// The extents, outermost first.
  public var shape: Shape
  /// The element type.
  public var element: ElementType
  /// How integers stand for reals; nil for floats and for plain integers such as token ids.
  public var quant: QuantParams?
  /// The memory order.
  public var layout: Layout

  /// A tensor type.
  public init(
    _ shape: Shape, _ element: ElementType, quant: QuantParams? = nil, layout: Layout = .nhwc
  ) {
    self.shape = shape
    self.element = element
    self.quant = quant
    self.layout = layout
  }

  /// Bytes of a dense tensor of this type.
  public var byteCount: Int { shape.count * element.byteCount }
}
