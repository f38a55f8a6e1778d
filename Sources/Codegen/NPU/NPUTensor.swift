import EthosUISA
import ProgramFormat
import TensorCore

/// A feature map of a job: where it lies and how its elements follow each other (NHWC).
struct NPUTensor: Hashable {
  /// The base pointer it is relative to.
  var base: BasePointer
  /// Byte offset of the first element.
  var offset: Int
  /// int8, uint8, int16 or int32.
  var element: ElementType
  /// Rows, columns, channels.
  var shape: BlockShape
  /// Bytes between columns; channels are adjacent.
  var strideX: Int
  /// Bytes between rows.
  var strideY: Int
  /// Where its bytes may lie, when the base follows the position.
  var reach: Range<Int>?

  /// A map without gaps.
  init(
    _ base: BasePointer, _ offset: Int, _ element: ElementType, _ height: Int, _ width: Int,
    _ depth: Int
  ) {
    self.base = base
    self.offset = offset
    self.element = element
    shape = BlockShape(height, width, depth)
    strideX = depth * element.byteCount
    strideY = width * depth * element.byteCount
  }

  /// Elements between columns.
  var pitch: Int { strideX / element.byteCount }

  /// The same bytes with other extents and distances (in elements).
  func viewed(
    _ height: Int, _ width: Int, _ depth: Int, strideY: Int? = nil, strideX: Int? = nil,
    from element: Int = 0
  ) -> NPUTensor {
    var view = self
    view.offset += element * self.element.byteCount
    view.shape = BlockShape(height, width, depth)
    view.strideX = (strideX ?? depth) * self.element.byteCount
    view.strideY = (strideY ?? width * depth) * self.element.byteCount
    return view
  }

  /// What activations that change nothing begin with.
  var least: Int { element == .uint8 ? 0 : -32768 }

  /// The same bytes as numbers without a sign.
  var unsignedBytes: NPUTensor {
    var map = self
    map.element = .uint8
    return map
  }

  /// What dependencies need to know of it.
  var place: FeatureMapPlace {
    let span =
      (shape.height - 1) * strideY + (shape.width - 1) * strideX + shape.depth * element.byteCount
    let bytes = reach ?? offset..<offset + span
    return FeatureMapPlace(
      region: base.region.rawValue, base: offset, bytes: bytes, shape: shape,
      layout: FeatureMapPlace.Layout(
        strides: BlockShape(strideY, strideX, 0), isBlocked: false,
        elementBytes: element.byteCount))
  }
}
