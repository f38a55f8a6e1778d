import EthosUISA

/// How a 1×1 convolution over `tokens` positions sits in the NPU's internal memory.
///
/// Rules: block-configuration specification, sections 2 and 3 (SHRAM layout of U55/U65).
struct LinearBlock: Equatable {
  /// OFM block height, width and depth.
  let height: Int
  let width: Int
  let depth: Int
  /// First SHRAM bank after the IFM buffers.
  let ifmBankEnd: Int
  /// First SHRAM bank of the accumulators.
  let accumulatorStart: Int
}

/// Chooses depth slices and blocks for linear layers.
struct LinearTiling {
  let accelerator: Accelerator

  /// The deepest legal OFM block that every batch size can use, so that all share one weight order.
  func blockDepth(inputs: Int, outputs: Int, bits: Int) -> Int {
    let limit = min(128, (outputs + 15) / 16 * 16)
    for depth in stride(from: limit, to: 16, by: -16)
    where block(tokens: 1, inputs: inputs, depth: depth, bits: bits) != nil {
      return depth
    }
    return 16
  }

  /// The widest legal block of the given depth; nil when none is.
  func block(tokens: Int, inputs: Int, depth: Int, bits: Int) -> LinearBlock? {
    let unit = accelerator.microblock
    var width = min(64, (tokens + unit.width - 1) / unit.width * unit.width)
    while width >= unit.width {
      if let block = layout(width: width, inputs: inputs, depth: depth, bits: bits) { return block }
      width -= unit.width
    }
    return nil
  }

  private func layout(width: Int, inputs: Int, depth: Int, bits: Int) -> LinearBlock? {
    let unit = accelerator.microblock
    let ifmDepth =
      bits == 16 ? roundUp(min(inputs, 16), to: 4) : roundUp(min(inputs, 32), to: 8)
    let ifmBytes = unit.height * width * roundUp(ifmDepth * bits / 8, to: 8)
    let ifmBanks = roundUp(2 * ((ifmBytes + 1023) / 1024), to: accelerator.ifmGranule)
    // OFM height and kernel height are 1, so a micro-block of height 2 needs accumulators for one row.
    let accumulatorBytes = width * roundUp(depth, to: 8) * (bits == 16 ? 40 : 32) / 8
    let accumulatorBanks = roundUp(
      2 * ((accumulatorBytes + 1023) / 1024),
      to: bits == 16 ? accelerator.accumulator40Granule : accelerator.accumulator32Granule)
    let ifmEnd = 2 + ifmBanks
    let start = accelerator.banks - accelerator.lutBanks - accumulatorBanks
    guard ifmEnd <= start else { return nil }
    return LinearBlock(
      height: unit.height, width: width, depth: depth, ifmBankEnd: ifmEnd, accumulatorStart: start)
  }

  private func roundUp(_ value: Int, to multiple: Int) -> Int {
    (value + multiple - 1) / multiple * multiple
  }

  /// Channels of one depth slice, so that its raw weights stay near `targetBytes`: a multiple of the
  /// block depth where that fits, else of 16.
  static func sliceChannels(inputs: Int, outputs: Int, blockDepth: Int, targetBytes: Int) -> Int {
    let wanted = max(targetBytes / max(inputs, 1), 16)
    if wanted >= outputs { return outputs }
    let unit = wanted >= blockDepth ? blockDepth : 16
    return max(wanted / unit * unit, 16)
  }
}
