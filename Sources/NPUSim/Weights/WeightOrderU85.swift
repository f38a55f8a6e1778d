/// The order in which a U85 weight decoder delivers the weights of an operation.
///
/// Compared with U55: sub-kernels run along x first, kernel elements by phase of the stride and row by row
/// in alternating direction, IFM blocks in alternating direction, and decoders share each microblock in
/// groups of four channels.
struct WeightOrderU85 {
  private let layout: WeightLayout
  /// This decoder and the number of decoders that share a microblock.
  private let decoder: Int
  private let decoders: Int
  /// Depth of the microblock.
  private let unit: Int
  private let ifmBlock: Int
  /// IFM channels that are consumed together.
  private let ifmUnit: Int
  /// Kernel elements are padded to a multiple of this.
  private let rounding: Int
  /// IFM channels delivered in a row.
  private let lanes: Int
  /// Depthwise: groups of zeros after each `rounding` elements.
  private let gap: Int
  private let strideY: Int
  private let strideX: Int

  /// - Parameter macs: multiply-accumulates a cycle, which decide the depth of IFM blocks.
  init(_ layout: WeightLayout, decoder: Int, decoders: Int, macs: Int) {
    self.layout = layout
    self.decoder = decoder
    self.decoders = max(1, decoders)
    unit = max(4, layout.microblockDepth)
    let isWide = layout.ifmBits > 8
    if layout.isPartKernelFirst {
      ifmBlock = 16
    } else if layout.isSparse && !isWide {
      ifmBlock = 128
    } else if layout.ifmBits == 32 || (macs <= 256 && unit == 16 && !layout.isSparse) {
      ifmBlock = 32
    } else {
      ifmBlock = 64
    }
    if layout.isDepthwise {
      (rounding, ifmUnit, lanes) = (10, 1, 1)
      gap = !isWide && macs <= 256 ? 0 : macs <= 512 ? 2 : 6
    } else {
      rounding = layout.isPartKernelFirst ? (isWide || layout.isSparse ? 10 : 5) : 1
      ifmUnit = layout.isPartKernelFirst && isWide && !layout.isSparse ? 8 : ifmBlock
      lanes = layout.isSparse ? 16 : 8
      gap = 0
    }
    let usesStride = layout.isDepthwise || layout.isPartKernelFirst
    strideY = usesStride ? layout.strideY : 1
    strideX = usesStride ? layout.strideX : 1
  }

  /// Weights of the stripes that fast streams take from each decoder in turn.
  var interleave: Int { unit &* ifmUnit &* rounding / decoders }

  /// Calls the body for each run of kernel elements: first OFM and IFM channel, origin and extent of the
  /// sub-kernel.
  @inline(__always)
  private func forEachGroup(_ body: (Int, Int, Int, Int, Int, Int) -> Void) {
    let subHeight = 8 / layout.dilationY
    let subWidth = 8 / layout.dilationX
    let inputs = layout.isDepthwise ? 1 : layout.ifmDepth
    let blocks = layout.isDepthwise ? 1 : (inputs + ifmBlock - 1) / ifmBlock
    var isForward = true
    for ofmBlock in stride(from: 0, to: layout.ofmDepth, by: max(1, layout.blockDepth)) {
      let ofmEnd = min(layout.ofmDepth, ofmBlock + layout.blockDepth)
      for number in 0..<blocks {
        let first = (isForward ? number : blocks - 1 - number) * ifmBlock
        let depth = layout.isDepthwise ? 1 : min(ifmBlock, inputs - first)
        for kx0 in stride(from: 0, to: layout.kernelWidth, by: subWidth) {
          let width = min(subWidth, layout.kernelWidth - kx0)
          for ky0 in stride(from: 0, to: layout.kernelHeight, by: subHeight) {
            let height = min(subHeight, layout.kernelHeight - ky0)
            for ifm in stride(from: 0, to: depth, by: ifmUnit) {
              for ofm in stride(from: ofmBlock, to: ofmEnd, by: unit) {
                body(ofm, first + ifm, ky0, kx0, height, width)
              }
            }
          }
        }
      }
      isForward.toggle()
    }
  }
}

extension WeightOrderU85: WeightSequence {
  var channels: Int { layout.ofmDepth }

  func channel(_ own: Int, core: Int, cores: Int) -> Int { own }

  var count: Int {
    var total = 0
    forEachGroup { _, _, _, _, height, width in
      let elements = height &* width
      let padded = (elements &+ rounding &- 1) / rounding &* rounding
      total &+= (padded &+ padded / 10 &* gap) &* ifmUnit &* unit / decoders
    }
    return total
  }

  @inline(__always)
  func visit(_ body: (Int, Int, Int, Int) -> Void) {
    let inputs = layout.isDepthwise ? 1 : layout.ifmDepth
    forEachGroup { ofm, ifm, ky0, kx0, height, width in
      var done = 0
      for phaseY in 0..<strideY where phaseY < height {
        let rows = (height &- phaseY &+ strideY &- 1) / strideY
        for phaseX in 0..<strideX where phaseX < width {
          let columns = (width &- phaseX &+ strideX &- 1) / strideX
          for row in 0..<rows {
            for column in 0..<columns {
              let turned = row & 1 == 0 ? column : columns &- 1 &- column
              let ky = ky0 &+ phaseY &+ row &* strideY
              let kx = kx0 &+ phaseX &+ turned &* strideX
              deliver(ofm, ifm, ky, kx, inputs, body)
              done &+= 1
              if gap > 0, done % rounding == 0 { pad(gap &* unit / decoders, body) }
            }
          }
        }
      }
      let missing = (rounding &- done % rounding) % rounding
      if missing > 0 { pad((missing &+ gap) &* ifmUnit &* unit / decoders, body) }
    }
  }

  /// One kernel element of a microblock.
  @inline(__always)
  private func deliver(
    _ ofm: Int, _ ifm: Int, _ ky: Int, _ kx: Int, _ inputs: Int,
    _ body: (Int, Int, Int, Int) -> Void
  ) {
    var lane = ifm
    while lane < ifm &+ ifmUnit {
      var group = 4 &* decoder
      while group < unit {
        for o in ofm &+ group..<ofm &+ group &+ 4 {
          for i in lane..<lane &+ lanes {
            if o < layout.ofmDepth && i < inputs {
              body(o, ky, kx, i)
            } else {
              body(-1, 0, 0, 0)
            }
          }
        }
        group &+= 4 &* decoders
      }
      lane &+= lanes
    }
  }

  @inline(__always)
  private func pad(_ count: Int, _ body: (Int, Int, Int, Int) -> Void) {
    for _ in 0..<count { body(-1, 0, 0, 0) }
  }
}
