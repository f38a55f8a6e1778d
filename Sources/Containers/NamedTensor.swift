import Support
import TensorCore

/// A tensor of a model file: its name, extents and where its numbers lie.
public struct NamedTensor: Sendable {
  /// The name in the file, or the field's name in a format without names.
  public let name: String
  /// The extents, outermost first (GGUF stores them the other way round).
  public let shape: Shape
  /// The numbers, exactly as many as the shape needs, still in the file.
  public let data: ConstantData
  /// The first byte's offset in the file.
  public let byteOffset: Int

  /// A tensor whose bytes the reader has checked against its shape.
  public init(name: String, shape: Shape, data: ConstantData, byteOffset: Int) {
    self.name = name
    self.shape = shape
    self.data = data
    self.byteOffset = byteOffset
  }
}
