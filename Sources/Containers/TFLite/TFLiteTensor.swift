import Support
import TensorCore

/// One tensor of a TFLite subgraph.
public struct TFLiteTensor: Sendable {
  /// The tensor's name; not always unique.
  public let name: String
  /// Extents, outermost first, none negative; their product times the element size fits an `Int`.
  public let shape: Shape
  /// The element type.
  public let type: TFLiteTensorType
  /// How integers stand for reals; nil without quantisation.
  public let quantisation: QuantParams?
  /// Index of the buffer; buffer 0 is the empty one by convention.
  public let buffer: Int
  /// The constant content; nil for tensors computed at run time.
  public let data: ByteSource?
  /// Whether the content lives on from one run to the next.
  public let isVariable: Bool

  /// Bytes of the tensor in memory; nil for element types without a fixed size here.
  public var byteCount: Int? {
    guard let element = type.element else { return nil }
    return shape.count * element.byteCount
  }
}
