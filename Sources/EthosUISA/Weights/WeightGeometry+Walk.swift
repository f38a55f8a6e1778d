/// Sees the weights of a stream in the order the hardware reads them.
protocol WeightVisitor {
  /// `valid` weights that are consecutive in memory from element `offset` on, then zeros up to
  /// `padded`. `isOwn` is false where a micro-block reaches into the channels of the next block:
  /// these weights come again, and a reader ignores them here.
  mutating func span(at offset: Int, valid: Int, padded: Int, isOwn: Bool)
  /// Padding.
  mutating func zeros(_ count: Int)
}

extension WeightGeometry {
  /// Visits all weights of a stream; the geometry has been checked.
  @inline(__always)
  func walk<Visitor: WeightVisitor>(stream: Int, _ visitor: inout Visitor) {
    switch family {
    case .u55: walkU55(core: stream, &visitor)
    case .u85: walkU85(stream: stream, &visitor)
    }
  }

  /// The order of U55 and U65. With two cores, core c has channels c, c + 2, … as its own 0, 1, ….
  @inline(__always)
  private func walkU55<Visitor: WeightVisitor>(core: Int, _ visitor: inout Visitor) {
    let outputs = (self.outputs &+ cores &- 1 &- core) / cores
    let blockDepth = max(1, (ofmBlockDepth &+ cores &- 1 &- core) / cores)
    let outputStep = strideOfOutputs &* cores
    let outputBase = strideOfOutputs &* core
    let rowStep = strideOfRows
    let columnStep = strideOfColumns
    let depthwise = traversal == .depthwise
    let partKernel = traversal == .partKernelFirst
    let inputs = storedInputs
    let unit = ifmUblockDepth
    let u = ofmUblockDepth
    let group = depthwise ? 1 : unit
    let subHeight = 8 / dilationY
    let subWidth = 8 / dilationX
    let inputBlock = partKernel || ifmBits == 16 ? 16 : 32
    let rounding = depthwise ? 4 : partKernel ? (ifmBits == 16 ? 2 : 4) : 1
    for block in stride(from: 0, to: outputs, by: blockDepth) {
      let depth = min(blockDepth, outputs &- block)
      for first in stride(from: 0, to: depthwise ? 1 : inputs, by: inputBlock) {
        let inputDepth =
          depthwise ? unit : partKernel ? min(inputBlock, inputs &- first) : inputBlock
        let outer = partKernel ? inputDepth : 1
        let inner = partKernel ? 1 : inputDepth
        for y0 in stride(from: 0, to: kernelHeight, by: subHeight) {
          let height = min(subHeight, kernelHeight &- y0)
          for x0 in stride(from: 0, to: kernelWidth, by: subWidth) {
            let width = min(subWidth, kernelWidth &- x0)
            let elements = (height &* width &+ rounding &- 1) / rounding &* rounding
            for io in stride(from: 0, to: outer, by: unit) {
              for ou in stride(from: 0, to: depth, by: u) {
                var y = 0
                var x = 0
                for _ in 0..<elements {
                  let tap = (y0 &+ y) &* rowStep &+ (x0 &+ x) &* columnStep &+ outputBase
                  var input = first &+ io
                  let end = input &+ inner
                  while input < end {
                    let valid = y < height ? max(0, min(group, inputs &- input)) : 0
                    for lane in ou..<ou &+ u {
                      let output = block &+ lane
                      visitor.span(
                        at: output &* outputStep &+ tap &+ input,
                        valid: output < outputs ? valid : 0, padded: group, isOwn: lane < depth)
                    }
                    input &+= unit
                  }
                  x &+= 1
                  if x == width {
                    x = 0
                    y &+= 1
                  }
                }
              }
            }
          }
        }
      }
    }
  }
}
