/// Where a feature map lies in memory, as far as dependencies need to know.
public struct FeatureMapPlace: Sendable, Hashable {
  /// The region, or the chaining buffer.
  public var region: Int
  /// Byte offset of the first element of tile 0.
  public var base: Int
  /// Bytes from the lowest to after the highest that the map may touch.
  public var bytes: Range<Int>
  /// Height, width, channels.
  public var shape: BlockShape
  /// U85: whether it is in a chaining buffer instead of memory.
  public var isChained: Bool
  /// How elements follow each other; nil when it is in several tiles or unknown.
  public var layout: Layout?

  /// Byte distances of a map in one tile.
  public struct Layout: Sendable, Hashable {
    /// Between rows, columns, and bricks of sixteen channels.
    public let strides: BlockShape
    /// Whether it is in bricks (NHCWB16).
    public let isBlocked: Bool
    /// Bytes of an element.
    public let elementBytes: Int

    /// A layout from its parts; `strides.depth` counts for bricks alone.
    public init(strides: BlockShape, isBlocked: Bool, elementBytes: Int) {
      self.strides = strides
      self.isBlocked = isBlocked
      self.elementBytes = elementBytes
    }

    /// The row, column and channel of the element at `offset` bytes from the first; nil when there
    /// is none or strides are not positive.
    func position(of offset: Int) -> BlockShape? {
      let width = isBlocked ? 16 * elementBytes : strides.width
      guard offset >= 0, strides.height > 0, width > 0, !isBlocked || strides.depth > 0 else {
        return nil
      }
      var rest = offset % strides.height
      var channel = 0
      if isBlocked {
        channel = rest / strides.depth * 16
        rest %= strides.depth
      }
      let column = rest / width
      rest %= width
      guard rest % elementBytes == 0 else { return nil }
      return BlockShape(offset / strides.height, column, channel + rest / elementBytes)
    }
  }

  /// A map in memory.
  public init(
    region: Int, base: Int, bytes: Range<Int>, shape: BlockShape, isChained: Bool = false,
    layout: Layout? = nil
  ) {
    self.region = region
    self.base = base
    self.bytes = bytes
    self.shape = shape
    self.isChained = isChained
    self.layout = layout
  }

  /// Where `part` starts inside this map, when it is a slice of it; zero for the map itself.
  ///
  /// Without layouts only equal maps are recognised.
  func offset(ofSlice part: FeatureMapPlace) -> BlockShape? {
    guard region == part.region, isChained == part.isChained else { return nil }
    if base == part.base, shape == part.shape { return BlockShape(0, 0, 0) }
    guard let layout, layout == part.layout,
      let start = layout.position(of: part.base &- base),
      start.height + part.shape.height <= shape.height,
      start.width + part.shape.width <= shape.width,
      start.depth + part.shape.depth <= shape.depth
    else { return nil }
    return start
  }

  /// Whether both may touch the same byte.
  public func overlaps(_ other: FeatureMapPlace) -> Bool {
    region == other.region && bytes.overlaps(other.bytes)
  }
}

/// The registers that describe one feature map.
public struct FeatureMapRegisters: Sendable {
  let precision: Opcode
  let region: Opcode
  let bases: [Opcode]
  let width0: Opcode
  let height0: Opcode
  let height1: Opcode
  let strides: (x: Opcode, y: Opcode, c: Opcode)
  let zeroPoint: Opcode

  /// The input.
  public static let ifm = FeatureMapRegisters(
    precision: .setIFMPrecision, region: .setIFMRegion,
    bases: [.setIFMBase0, .setIFMBase1, .setIFMBase2, .setIFMBase3], width0: .setIFMWidth0M1,
    height0: .setIFMHeight0M1, height1: .setIFMHeight1M1,
    strides: (.setIFMStrideX, .setIFMStrideY, .setIFMStrideC), zeroPoint: .setIFMZeroPoint)
  /// The second input.
  public static let ifm2 = FeatureMapRegisters(
    precision: .setIFM2Precision, region: .setIFM2Region,
    bases: [.setIFM2Base0, .setIFM2Base1, .setIFM2Base2, .setIFM2Base3], width0: .setIFM2Width0M1,
    height0: .setIFM2Height0M1, height1: .setIFM2Height1M1,
    strides: (.setIFM2StrideX, .setIFM2StrideY, .setIFM2StrideC), zeroPoint: .setIFM2ZeroPoint)
  /// The output.
  public static let ofm = FeatureMapRegisters(
    precision: .setOFMPrecision, region: .setOFMRegion,
    bases: [.setOFMBase0, .setOFMBase1, .setOFMBase2, .setOFMBase3], width0: .setOFMWidth0M1,
    height0: .setOFMHeight0M1, height1: .setOFMHeight1M1,
    strides: (.setOFMStrideX, .setOFMStrideY, .setOFMStrideC), zeroPoint: .setOFMZeroPoint)
}

extension RegisterFile {
  /// The place of a map of the given shape; nil when a register was never written or is absurd.
  public func place(_ map: FeatureMapRegisters, shape: BlockShape) -> FeatureMapPlace? {
    guard let region = value(map.region, .region), let base = value(map.bases[0], .addr),
      let bits = elementBits(map.precision)
    else { return nil }
    let storage = value(map.precision, .activationStorage, as: ISA.ActivationStorage.self)
    if storage == .chained {
      return FeatureMapPlace(
        region: region, base: 0, bytes: 0..<1, shape: shape, isChained: true)
    }
    if storage == ISA.ActivationStorage.none { return nil }
    guard let strideX = value(map.strides.x, .addr), let strideY = value(map.strides.y, .addr),
      let strideC = value(map.strides.c, .addr),
      let isBlocked = value(map.precision, .activationFormat)
    else { return nil }
    let element = bits / 8
    var low = Int.max
    var high = Int.min
    let tiles = tiles(map, shape: shape)
    for (tileBase, height, width) in tiles {
      // 40-bit strides times 16-bit sizes fit 64 bits; hostile registers only make ranges wide.
      var spans = [(height - 1) &* strideY, (width - 1) &* strideX]
      var innermost = shape.depth * element
      if isBlocked == 1 {
        spans[1] = (width - 1) * 16 * element
        spans.append((ceilDivide(shape.depth, 16) - 1) &* strideC)
        innermost = 16 * element
      }
      low = min(low, tileBase &+ spans.reduce(0) { $0 &+ min(0, $1) })
      high = max(high, tileBase &+ spans.reduce(0) { $0 &+ max(0, $1) } &+ innermost)
    }
    guard low < high else { return nil }
    let layout = FeatureMapPlace.Layout(
      strides: BlockShape(strideY, strideX, isBlocked == 1 ? strideC : 0),
      isBlocked: isBlocked == 1, elementBytes: element)
    return FeatureMapPlace(
      region: region, base: base, bytes: low..<high, shape: shape,
      layout: tiles.count == 1 ? layout : nil)
  }

  /// Base, height and width of every tile that a map of the given shape reaches.
  private func tiles(
    _ map: FeatureMapRegisters, shape: BlockShape
  ) -> [(base: Int, height: Int, width: Int)] {
    let width0 = min(size(map.width0, .widthM1) ?? shape.width, shape.width)
    let height0 = min(size(map.height0, .heightM1) ?? shape.height, shape.height)
    let height1 = min(size(map.height1, .heightM1) ?? shape.height, shape.height)
    let sizes = [
      (height0, width0), (height1, shape.width - width0), (shape.height - height0, width0),
      (shape.height - height1, shape.width - width0),
    ]
    return zip(map.bases, sizes).compactMap { register, size in
      guard size.0 > 0, size.1 > 0, let base = value(register, .addr) else { return nil }
      return (base, size.0, size.1)
    }
  }
}
