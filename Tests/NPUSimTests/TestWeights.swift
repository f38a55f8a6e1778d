/// Encodes weights without compression: a second, slow statement of the stream order and the bit format.
struct TestWeights {
  /// `[o][ky][kx][i]`; depthwise has one input.
  var values: [Int]
  var ofmDepth: Int
  var height: Int
  var width: Int
  var ifmDepth: Int

  static func random(
    _ ofmDepth: Int, _ height: Int, _ width: Int, _ ifmDepth: Int, range: ClosedRange<Int>,
    _ generator: inout SeededGenerator
  ) -> TestWeights {
    TestWeights(
      values: (0..<ofmDepth * height * width * ifmDepth).map { _ in generator.int(range) },
      ofmDepth: ofmDepth, height: height, width: width, ifmDepth: ifmDepth)
  }

  subscript(o: Int, y: Int, x: Int, i: Int) -> Int {
    values[((o * height + y) * width + x) * ifmDepth + i]
  }

  /// The stream of one core.
  func stream(
    depthwise: Bool, partKernel: Bool, ifmBits: Int, block: Int, dilationY: Int, dilationX: Int,
    unit: Int, core: Int = 0, cores: Int = 1
  ) -> [UInt8] {
    let own = Array(stride(from: core, to: ofmDepth, by: cores))
    let block = cores == 1 ? block : (block + 1 - core) / 2
    let ib = partKernel || ifmBits == 16 ? 16 : 32
    let pad = depthwise ? 4 : partKernel ? (ifmBits == 16 ? 2 : 4) : 1
    var order: [Int] = []
    for oz in stride(from: 0, to: own.count, by: block) {
      let cod = min(block, own.count - oz)
      for iz in stride(from: 0, to: depthwise ? 1 : ifmDepth, by: ib) {
        let cid = depthwise ? 8 : partKernel ? min(ib, ifmDepth - iz) : ib
        for sky in stride(from: 0, to: height, by: 8 / dilationY) {
          for skx in stride(from: 0, to: width, by: 8 / dilationX) {
            let kh = min(8 / dilationY, height - sky)
            let kw = min(8 / dilationX, width - skx)
            let n = (kh * kw + pad - 1) / pad * pad
            for io in stride(from: 0, to: partKernel ? cid : 1, by: 8) {
              for ou in stride(from: 0, to: cod, by: unit) {
                for k in 0..<n {
                  for ii in stride(from: 0, to: partKernel ? 1 : cid, by: 8) {
                    for o in 0..<unit {
                      for i in 0..<(depthwise ? 1 : 8) {
                        let c = oz + ou + o
                        let input = iz + io + ii + i
                        let ky = k / kw
                        let isReal = c < own.count && input < ifmDepth && ky < kh
                        order.append(isReal ? self[own[c], sky + ky, skx + k % kw, input] : 0)
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
    return Self.encodeRaw(order)
  }

  /// Uncompressed slices: no palette, no zero runs, 9-bit codes.
  static func encodeRaw(_ weights: [Int]) -> [UInt8] {
    var bits = TestBits()
    for start in stride(from: 0, to: weights.count, by: 32768) {
      let slice = weights[start..<min(weights.count, start + 32768)]
      bits.append(6, 3)
      bits.append(slice.count - 1, 15)
      bits.append(7, 3)
      bits.append(0, 1)
      bits.append(1, 1)
      bits.append(0, 5)
      bits.append(0, 5)
      bits.append(7, 3)
      for w in slice { bits.append(abs(w) << 1 | (w < 0 ? 1 : 0), 9) }
    }
    bits.append(7, 3)
    while bits.count % 128 != 0 { bits.append(1, 1) }
    return bits.bytes
  }
}

/// Bit fields, least significant bit first.
struct TestBits {
  private(set) var bytes: [UInt8] = []
  private(set) var count = 0

  mutating func append(_ value: Int, _ width: Int) {
    for i in 0..<width {
      if count % 8 == 0 { bytes.append(0) }
      bytes[count / 8] |= UInt8(value >> i & 1) << UInt8(count % 8)
      count += 1
    }
  }
}

/// A 10-byte record of U55 and U65.
func scaleRecord(bias: Int, multiplier: UInt32, shift: Int) -> [UInt8] {
  (0..<5).map { UInt8(truncatingIfNeeded: bias >> (8 * $0)) }
    + (0..<4).map { UInt8(truncatingIfNeeded: multiplier >> UInt32(8 * $0)) } + [UInt8(shift)]
}

/// Zero bytes up to a multiple of 16.
func padded16(_ bytes: [UInt8]) -> [UInt8] {
  bytes + [UInt8](repeating: 0, count: (16 - bytes.count % 16) % 16)
}
