extension StreamBuilder {
  /// Writes the kernel size and stride registers from plain numbers.
  ///
  /// - Parameters:
  ///   - height: kernel rows before dilation.
  ///   - width: kernel columns before dilation.
  ///   - strides: 1 to 4 along y and x.
  ///   - dilations: 1 or 2 along y and x.
  ///   - order: how weights are ordered in their stream.
  public mutating func setKernel(
    height: Int, width: Int, strides: (y: Int, x: Int) = (1, 1),
    dilations: (y: Int, x: Int) = (1, 1), order: ISA.WeightOrder = .depthFirst
  ) throws(EncodeError) {
    func invalid(_ field: Field, _ value: Int, _ allowed: ClosedRange<Int>) -> EncodeError {
      EncodeError(
        opcode: .setKernelStride, product: product,
        reason: .range(field, value: value, allowed: allowed))
    }
    guard (1...4).contains(strides.y) else { throw invalid(.strideYLsb, strides.y, 1...4) }
    guard (1...4).contains(strides.x) else { throw invalid(.strideXLsb, strides.x, 1...4) }
    guard (1...2).contains(dilations.y) else { throw invalid(.dilationY, dilations.y, 1...2) }
    guard (1...2).contains(dilations.x) else { throw invalid(.dilationX, dilations.x, 1...2) }
    guard (1...65536).contains(height), (1...65536).contains(width) else {
      throw invalid(.heightM1, min(height, width), 1...65536)
    }
    try setKernelHeightM1(dilations.y * (height - 1))
    try setKernelWidthM1(dilations.x * (width - 1))
    try setKernelStride(
      strideXLsb: (strides.x - 1) & 1, strideYLsb: (strides.y - 1) & 1, weightOrder: order,
      dilationX: dilations.x == 2 ? .x2 : ISA.KernelDilation.none,
      dilationY: dilations.y == 2 ? .x2 : ISA.KernelDilation.none, decomposition: .d8x8,
      strideXMsb: (strides.x - 1) >> 1, strideYMsb: (strides.y - 1) >> 1)
  }

  /// Queues a dense transfer of `length` bytes from one region to another.
  ///
  /// `internalDestination` sends it to the shared RAM or table RAM; the region is then a core mask.
  public mutating func transfer(
    from source: Int, offset: Int, to destination: Int, offset destinationOffset: Int,
    length: Int, internalDestination: Bool = false
  ) throws(EncodeError) {
    try setDMA0SrcRegion(region: source, regionMode: .external, strideMode: .d1)
    try setDMA0Src(offset)
    try setDMA0DstRegion(
      region: destination, regionMode: internalDestination ? .`internal` : .external)
    try setDMA0Dst(destinationOffset)
    try setDMA0Len(length)
    // A U85 counts pieces in one dimension too.
    if product == .u85 { try setDMA0Size0(1) }
    try opDMAStart()
  }
}
