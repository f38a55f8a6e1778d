/// The order in which a U55 or U65 core reads the weights of a 1×1 convolution, depth first
/// (weight-stream specification, section 7).
public struct LinearWeightOrder: Sendable, Hashable {
  /// Input channels.
  public let inputs: Int
  /// OFM block depth (OFM_BLK_DEPTH_M1 + 1), a multiple of the micro-block depth.
  public let blockDepth: Int
  /// OFM micro-block depth: 4 on U55-32, else 8.
  public let microblockDepth: Int
  /// Bits of an input element, 8 or 16.
  public let inputBits: Int

  /// An order.
  public init(inputs: Int, blockDepth: Int, microblockDepth: Int, inputBits: Int) {
    self.inputs = inputs
    self.blockDepth = blockDepth
    self.microblockDepth = microblockDepth
    self.inputBits = inputBits
  }

  private var ifmBlock: Int { inputBits == 16 ? 16 : 32 }

  /// Weights in the stream of `outputs` channels, padding included.
  public func paddedCount(outputs: Int) -> Int {
    let paddedInputs = (inputs + ifmBlock - 1) / ifmBlock * ifmBlock
    var padded = 0
    for first in stride(from: 0, to: outputs, by: blockDepth) {
      let depth = min(blockDepth, outputs - first)
      padded += (depth + microblockDepth - 1) / microblockDepth * microblockDepth
    }
    return padded * paddedInputs
  }

  /// Writes the weights of `outputs` channels, rows of `inputs` values in `weights`, to `out`, which
  /// has room for `paddedCount(outputs:)`.
  public func reorder(
    _ weights: UnsafeBufferPointer<Int8>, outputs: Int, into out: UnsafeMutableBufferPointer<Int16>
  ) {
    precondition(weights.count >= outputs * inputs && out.count >= paddedCount(outputs: outputs))
    var at = 0
    for block in stride(from: 0, to: outputs, by: blockDepth) {
      let depth = min(blockDepth, outputs - block)
      for ifm in stride(from: 0, to: inputs, by: ifmBlock) {
        for unit in stride(from: 0, to: depth, by: microblockDepth) {
          for lane in stride(from: ifm, to: ifm + ifmBlock, by: 8) {
            for channel in block + unit..<block + unit + microblockDepth {
              let row = channel &* inputs
              if channel < outputs, lane &+ 8 <= inputs {
                for i in 0..<8 { out[at &+ i] = Int16(weights[row &+ lane &+ i]) }
              } else {
                for i in 0..<8 {
                  out[at &+ i] =
                    channel < outputs && lane &+ i < inputs
                    ? Int16(weights[row &+ lane &+ i]) : 0
                }
              }
              at &+= 8
            }
          }
        }
      }
    }
  }

  /// The encoded stream of `outputs` channels.
  public func encode(_ weights: UnsafeBufferPointer<Int8>, outputs: Int) -> [UInt8] {
    withUnsafeTemporaryAllocation(of: Int16.self, capacity: paddedCount(outputs: outputs)) {
      reorder(weights, outputs: outputs, into: $0)
      return StandardWeightEncoder.encode(UnsafeBufferPointer($0), effort: .quick)
    }
  }
}
