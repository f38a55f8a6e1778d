/// The order in which U55 and U65 consume the weights of one core.
struct WeightOrder: WeightSequence {
  private let layout: WeightLayout
  /// OFM channels of this core.
  let channels: Int
  private let blockDepth: Int
  /// OFM and IFM depth of the micro-block.
  private let ofmUnit: Int
  private let ifmUnit = 8

  init(_ layout: WeightLayout, core: Int, cores: Int, microblockDepth: Int) {
    self.layout = layout
    ofmUnit = max(1, microblockDepth)
    channels = max(0, (layout.ofmDepth - core + cores - 1) / cores)
    blockDepth = max(
      1, cores == 1 ? layout.blockDepth : (layout.blockDepth + cores - 1 - core) / cores)
  }

  /// Weights in the stream, padding included.
  var count: Int {
    var total = 0
    forEachGroup { _, _, _, _, _, _, _, n, inner in
      let block = inner * ofmUnit * (layout.isDepthwise ? 1 : ifmUnit)
      total &+= n &* block
    }
    return total
  }

  func channel(_ own: Int, core: Int, cores: Int) -> Int { own &* cores &+ core }

  /// Calls the body for each weight of the stream: channel of this core, undilated kernel row and column,
  /// input channel. Padding has channel -1.
  @inline(__always)
  func visit(_ body: (Int, Int, Int, Int) -> Void) {
    let inputs = layout.isDepthwise ? 1 : layout.ifmDepth
    let lanes = layout.isDepthwise ? 1 : ifmUnit
    forEachGroup { ofm, ofmEnd, ifm, ky0, kx0, height, width, n, inner in
      for element in 0..<n {
        let y = element / width
        let x = element % width
        for block in 0..<inner {
          for o in ofm..<ofm + ofmUnit {
            for i in 0..<lanes {
              let input = ifm &+ block &* ifmUnit &+ i
              if o >= channels || input >= inputs || y >= height {
                body(-1, 0, 0, 0)
              } else {
                // A micro-block that reaches into the next block repeats that block's weights.
                body(o, ky0 &+ y, kx0 &+ x, input)
              }
            }
          }
        }
      }
    }
  }

  /// Calls the body for each run of kernel elements of one OFM micro-block: first OFM channel, end of the
  /// OFM block, first IFM channel, origin and extent of the sub-kernel, padded elements, and IFM
  /// micro-blocks an element.
  @inline(__always)
  private func forEachGroup(_ body: (Int, Int, Int, Int, Int, Int, Int, Int, Int) -> Void) {
    let subHeight = 8 / layout.dilationY
    let subWidth = 8 / layout.dilationX
    let isPart = layout.isPartKernelFirst
    let ifmBlock = isPart || layout.ifmBits == 16 ? 16 : 32
    let padding = layout.isDepthwise ? 4 : isPart ? (layout.ifmBits == 16 ? 2 : 4) : 1
    for ofmBlock in stride(from: 0, to: channels, by: blockDepth) {
      let ofmEnd = min(channels, ofmBlock + blockDepth)
      for ifm in stride(from: 0, to: layout.isDepthwise ? 1 : layout.ifmDepth, by: ifmBlock) {
        let depth =
          layout.isDepthwise
          ? ifmUnit : isPart ? min(ifmBlock, layout.ifmDepth - ifm) : ifmBlock
        for ky0 in stride(from: 0, to: layout.kernelHeight, by: subHeight) {
          let height = min(subHeight, layout.kernelHeight - ky0)
          for kx0 in stride(from: 0, to: layout.kernelWidth, by: subWidth) {
            let width = min(subWidth, layout.kernelWidth - kx0)
            let n = (height * width + padding - 1) / padding * padding
            let units = (depth + ifmUnit - 1) / ifmUnit
            for outer in 0..<(isPart ? units : 1) {
              for ofm in stride(from: ofmBlock, to: ofmEnd, by: ofmUnit) {
                body(
                  ofm, ofmEnd, ifm + outer * ifmUnit, ky0, kx0, height, width, n,
                  isPart ? 1 : units)
              }
            }
          }
        }
      }
    }
  }
}
