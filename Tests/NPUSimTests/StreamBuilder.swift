/// SplitMix64, so that failures repeat.
struct SeededGenerator: RandomNumberGenerator {
  var state: UInt64
  init(_ seed: UInt64) { state = seed }
  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
  mutating func int(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &self) }
  mutating func flip() -> Bool { Bool.random(using: &self) }
}

/// A tensor of a test, with byte addresses computed one element at a time from the specification.
struct TestTensor {
  var region = 1
  var height = 1
  var width = 1
  var depth = 1
  var bytes = 1
  var isSigned = true
  var isBricked = false
  var bases = [0, 0, 0, 0]
  var height0 = 1
  var height1 = 1
  var width0 = 1
  var strideY = 0
  var strideX = 0
  var strideC = 0
  var zeroPoint = 0

  /// A dense tensor in one tile at `base`.
  static func dense(
    _ height: Int, _ width: Int, _ depth: Int, bytes: Int = 1, isSigned: Bool = true,
    isBricked: Bool = false, base: Int, zeroPoint: Int = 0
  ) -> TestTensor {
    var t = TestTensor(
      height: height, width: width, depth: depth, bytes: bytes, isSigned: isSigned,
      isBricked: isBricked, bases: [base, 0, 0, 0], height0: height, height1: height,
      width0: width, zeroPoint: zeroPoint)
    let channels = isBricked ? (depth + 15) / 16 * 16 : depth
    t.strideX = isBricked ? 16 * bytes : depth * bytes
    t.strideC = isBricked ? width * 16 * bytes : bytes
    t.strideY = width * channels * bytes
    return t
  }

  /// Bytes of a dense tensor.
  var byteCount: Int { height * strideY }

  func address(_ y: Int, _ x: Int, _ c: Int) -> Int {
    let tile: Int
    var ty = y
    var tx = x
    if x < width0 {
      tile = y < height0 ? 0 : 2
      if y >= height0 { ty -= height0 }
    } else {
      tx -= width0
      tile = y < height1 ? 1 : 3
      if y >= height1 { ty -= height1 }
    }
    return isBricked
      ? bases[tile] + ty * strideY + c / 16 * strideC + tx * 16 * bytes + c % 16 * bytes
      : bases[tile] + ty * strideY + tx * strideX + c * bytes
  }

  /// The stored value.
  func load(_ memory: [UInt8], _ y: Int, _ x: Int, _ c: Int) -> Int {
    let at = address(y, x, c)
    var pattern = 0
    for i in 0..<bytes { pattern |= Int(memory[at + i]) << (8 * i) }
    let unused = Int.bitWidth - 8 * bytes
    return isSigned ? (pattern << unused) >> unused : pattern
  }

  func store(_ value: Int, _ memory: inout [UInt8], _ y: Int, _ x: Int, _ c: Int) {
    let at = address(y, x, c)
    for i in 0..<bytes { memory[at + i] = UInt8(truncatingIfNeeded: value >> (8 * i)) }
  }
}

/// Writes command streams word by word.
struct StreamBuilder {
  private(set) var bytes: [UInt8] = []

  private mutating func word(_ value: UInt32) {
    for i in 0..<4 { bytes.append(UInt8(truncatingIfNeeded: value >> UInt32(8 * i))) }
  }

  mutating func set(_ opcode: Int, _ parameter: Int) {
    word(UInt32(opcode) | UInt32(UInt16(truncatingIfNeeded: parameter)) << 16)
  }

  mutating func setWide(_ opcode: Int, _ value: Int) {
    word(UInt32(opcode) | 0x4000 | UInt32(truncatingIfNeeded: (value >> 32) & 0xFF) << 16)
    word(UInt32(truncatingIfNeeded: value))
  }

  /// Replaces the parameter of the two-word command written last.
  mutating func patchParameter(_ parameter: Int) {
    bytes[bytes.count - 6] = UInt8(truncatingIfNeeded: parameter)
    bytes[bytes.count - 5] = UInt8(truncatingIfNeeded: parameter >> 8)
  }

  mutating func setScale(_ opcode: Int, multiplier: UInt32, shift: Int) {
    word(UInt32(opcode) | 0x4000 | UInt32(shift) << 16)
    word(multiplier)
  }

  private func log2(_ bytes: Int) -> Int { bytes.trailingZeroBitCount }

  /// Region, bases, tiles, strides and zero point of IFM (`first` 0), OFM (16) or IFM2 (128).
  private mutating func place(_ t: TestTensor, wide first: Int) {
    for i in 0..<4 { setWide(first + i, t.bases[i]) }
    setWide(first + 4, t.strideX)
    setWide(first + 5, t.strideY)
    setWide(first + 6, t.strideC)
  }

  mutating func ifm(_ t: TestTensor, scaleMode: Int = 0, rounding: Int = 0) {
    set(271, t.region)
    place(t, wide: 0)
    set(266, t.width0 - 1)
    set(267, t.height0 - 1)
    set(268, t.height1 - 1)
    set(260, t.depth - 1)
    set(265, t.zeroPoint)
    set(
      261,
      (t.isSigned ? 1 : 0) | log2(t.bytes) << 2 | (t.isBricked ? 1 : 0) << 6 | scaleMode << 8
        | rounding << 14)
  }

  mutating func ifm2(_ t: TestTensor, broadcast: Int = 0, scalar: Int? = nil) {
    set(384, broadcast | (scalar == nil ? 0 : 0x80))
    set(393, t.zeroPoint)
    set(389, (t.isSigned ? 1 : 0) | log2(t.bytes) << 2 | (t.isBricked ? 1 : 0) << 6)
    if let scalar {
      set(385, scalar)
      return
    }
    set(399, t.region)
    place(t, wide: 128)
    set(394, t.width0 - 1)
    set(395, t.height0 - 1)
    set(396, t.height1 - 1)
  }

  mutating func ofm(_ t: TestTensor, isGlobal: Bool = false, rounding: Int = 0) {
    set(287, t.region)
    place(t, wide: 16)
    set(273, t.width - 1)
    set(274, t.height - 1)
    set(275, t.depth - 1)
    set(282, t.width0 - 1)
    set(283, t.height0 - 1)
    set(284, t.height1 - 1)
    set(280, t.zeroPoint)
    set(
      276,
      (t.isSigned ? 1 : 0) | log2(t.bytes) << 1 | (t.isBricked ? 1 : 0) << 6
        | (isGlobal ? 1 : 0) << 8 | rounding << 14)
    set(277, 3)
    set(278, 1)
    set(279, 15)
    set(303, 0)
  }

  /// Taps, stride, dilation, pads (top, left, bottom, right) and upscaling.
  mutating func kernel(
    _ height: Int = 1, _ width: Int = 1, strideY: Int = 1, strideX: Int = 1, dilationY: Int = 1,
    dilationX: Int = 1, pads: [Int] = [0, 0, 0, 0], upscale: Int = 0, partKernel: Bool = false
  ) {
    set(289, (height - 1) * dilationY)
    set(288, (width - 1) * dilationX)
    let x = strideX - 1
    let y = strideY - 1
    set(
      290,
      (x & 1) | (y & 1) << 1 | (partKernel ? 4 : 0) | (dilationX - 1) << 3
        | (dilationY - 1) << 4 | (x >> 1) << 6 | (y >> 1) << 9)
    set(256, pads[0])
    set(257, pads[1])
    set(259, pads[2])
    set(258, pads[3])
    set(263, upscale)
  }

  mutating func activation(_ function: Int = 0, clip: Int = 0, low: Int, high: Int) {
    set(293, function | clip << 12)
    set(294, low)
    set(295, high)
  }

  mutating func dma(
    from source: Int, region: Int, to destination: Int, region target: Int?, length: Int
  ) {
    set(304, region)
    setWide(48, source)
    set(305, target ?? 0x103)
    setWide(49, destination)
    setWide(50, length)
    set(16, 0)
  }

  mutating func stop() { set(0, 0xFFFF) }
}
