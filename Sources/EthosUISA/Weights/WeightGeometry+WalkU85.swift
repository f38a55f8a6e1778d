extension WeightGeometry {
  /// Depth of an IFM block on U85: a rule of the hardware, not in the command stream.
  var ifmBlockDepthU85: Int {
    if traversal == .partKernelFirst { return 16 }
    if isSparse && ifmBits == 8 { return 128 }
    if ifmBits == 32 || (macs <= 256 && ofmUblockDepth == 16 && !isSparse) { return 32 }
    return 64
  }

  /// Kernel elements are padded to a multiple of this on U85.
  var kernelRoundingU85: Int {
    switch traversal {
    case .depthwise: 10
    case .depthFirst: 1
    case .partKernelFirst: ifmBits == 16 || isSparse ? 10 : 5
    }
  }

  /// Input channels inside a kernel element on U85.
  var ifmUnitU85: Int {
    switch traversal {
    case .depthwise: 1
    case .depthFirst: ifmBlockDepthU85
    case .partKernelFirst: ifmBits == 16 && !isSparse ? 8 : ifmBlockDepthU85
    }
  }

  /// Weights of one stream that stand together when the streams of the cores become one fast stream.
  var interleaveU85: Int { ofmUblockDepth * ifmUnitU85 * kernelRoundingU85 / cores }

  /// The order of U85: input blocks and kernel rows snake, kernel elements come by stride phase, and
  /// a stream has every `cores`-th group of four channels of a micro-block.
  @inline(__always)
  func walkU85<Visitor: WeightVisitor>(stream: Int, _ visitor: inout Visitor) {
    let depthwise = traversal == .depthwise
    let inputs = storedInputs
    let u = ofmUblockDepth
    let inputBlock = ifmBlockDepthU85
    let rounding = kernelRoundingU85
    let unit = ifmUnitU85
    let step = depthwise ? 1 : isSparse ? 16 : 8
    let phasesY = traversal == .depthFirst ? 1 : strideY
    let phasesX = traversal == .depthFirst ? 1 : strideX
    let gap = !depthwise || (ifmBits == 8 && macs <= 256) ? 0 : macs <= 512 ? 2 : 6
    let subHeight = 8 / dilationY
    let subWidth = 8 / dilationX
    let outputStep = strideOfOutputs
    let rowStep = strideOfRows
    let columnStep = strideOfColumns
    let blocks = depthwise ? 1 : (inputs &+ inputBlock &- 1) / inputBlock
    var forward = true
    for block in stride(from: 0, to: outputs, by: ofmBlockDepth) {
      let depth = min(ofmBlockDepth, outputs &- block)
      for index in 0..<blocks {
        let first = (forward ? index : blocks &- 1 &- index) &* inputBlock
        let inputDepth = depthwise ? 1 : min(inputBlock, inputs &- first)
        for x0 in stride(from: 0, to: kernelWidth, by: subWidth) {
          let width = min(subWidth, kernelWidth &- x0)
          for y0 in stride(from: 0, to: kernelHeight, by: subHeight) {
            let height = min(subHeight, kernelHeight &- y0)
            for io in stride(from: 0, to: inputDepth, by: unit) {
              for ou in stride(from: 0, to: depth, by: u) {
                var left = (height &* width &+ rounding &- 1) / rounding &* rounding
                for py in 0..<min(phasesY, height) {
                  let rows = (height &- py &+ phasesY &- 1) / phasesY
                  for px in 0..<min(phasesX, width) {
                    let columns = (width &- px &+ phasesX &- 1) / phasesX
                    for row in 0..<rows {
                      for column in 0..<columns {
                        let x = row & 1 == 0 ? column : columns &- 1 &- column
                        let tap =
                          (y0 &+ py &+ row &* phasesY) &* rowStep
                          &+ (x0 &+ px &+ x &* phasesX) &* columnStep
                        left &-= 1
                        for ii in stride(from: 0, to: unit, by: step) {
                          let input = first &+ io &+ ii
                          let valid = max(0, min(step, inputs &- input))
                          for group in stride(from: 4 &* stream, to: u, by: 4 &* cores) {
                            for lane in ou &+ group..<ou &+ group &+ 4 {
                              let output = block &+ lane
                              visitor.span(
                                at: output &* outputStep &+ tap &+ input,
                                valid: output < outputs ? valid : 0, padded: step,
                                isOwn: lane < depth)
                            }
                          }
                        }
                        if gap > 0 && left % rounding == 0 { visitor.zeros(gap &* u / cores) }
                      }
                    }
                  }
                }
                if left > 0 { visitor.zeros((left &+ gap) &* unit &* u / cores) }
              }
            }
          }
        }
      }
      forward = !forward
    }
  }
}
