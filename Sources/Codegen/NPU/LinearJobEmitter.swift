import EthosUISA
import NPUTiming
import ProgramFormat
import TensorCore

/// One linear layer of a job: its packed weights and where its operands lie.
struct JobLinear {
  let packed: PackedLinear
  /// Rows: tokens of the step list.
  let tokens: Int
  /// The block all slices use.
  let block: LinearBlock
  /// Byte offset of the input in the arena.
  let inputOffset: Int
  /// Byte offset of the output in the arena.
  let outputOffset: Int
  /// The tensor it computes, for provenance.
  let name: String
}

/// Writes the command stream of one NPU job: linear layers as 1×1 convolutions, slice by slice, with
/// the next slice's weights on their way while one is computed.
///
/// Per slice `i`: wait until the convolution that last read staging buffer `i mod 2` has finished
/// (all but the newest kernel: `KERNEL_WAIT 1`), start the DMA, wait for it, issue the convolution. The
/// wait for the DMA holds the parser, not the kernel before, so transfer and computation overlap.
/// Kernels of a job never read each other's output, so BLOCKDEP is at its maximum.
struct LinearJobEmitter {
  /// The size of one staging buffer.
  let stagingStride: Int
  /// Largest legal BLOCKDEP (block-configuration specification, section 7).
  static let independentBlockDependency = 3

  /// Emits the job. Slice numbers, and with them the staging buffers, run on across layers.
  func emit(_ linears: [JobLinear], into writer: inout CommandWriter) throws(CommandWriterError) {
    var index = 0
    for linear in linears {
      try setLayer(linear, &writer)
      for slice in linear.packed.slices {
        let staging = index % 2 * stagingStride
        if index >= 2 { writer.kernelWait(1) }
        try writer.dma(
          from: Region.weights.rawValue, offset: slice.offset, to: Region.staging.rawValue,
          offset: staging, bytes: slice.bytes)
        writer.dmaWait(0)
        try setSlice(slice, of: linear, staging: staging, &writer)
        writer.convolution()
        index += 1
      }
    }
    writer.stop()
  }

  /// The same job as the timing model sees it.
  static func events(_ linears: [JobLinear], microblock: BlockSize) -> [IssueEvent] {
    var events: [IssueEvent] = []
    var index = 0
    for linear in linears {
      for (number, slice) in linear.packed.slices.enumerated() {
        if index >= 2 {
          events.append(.commands(words: 1))
          events.append(.kernelWait(1))
        }
        // Source, destination, length and the operation; then the slice's own registers, the layer's
        // before the first slice.
        events.append(.commands(words: 9))
        events.append(
          .transfer(
            bytes: slice.bytes, source: Region.weights.rawValue,
            destination: Region.staging.rawValue))
        events.append(.commands(words: 1))
        events.append(.transferWait(0))
        events.append(.commands(words: number == 0 ? 80 : 12))
        events.append(.kernel(description(slice, of: linear, microblock)))
        index += 1
      }
    }
    events.append(.commands(words: 1))
    return events
  }

  private static func description(
    _ slice: PackedSlice, of linear: JobLinear, _ microblock: BlockSize
  ) -> KernelDescription {
    let packed = linear.packed
    var kernel = KernelDescription(
      kind: .convolution(partKernelFirst: false),
      ifm: FeatureMapTraffic(
        height: 1, width: linear.tokens, depth: packed.inputs, bits: packed.key.inputBits,
        region: Region.arena.rawValue),
      ofm: FeatureMapTraffic(
        height: 1, width: linear.tokens, depth: slice.channels,
        bits: packed.key.outputElement.byteCount * 8, region: Region.arena.rawValue),
      block: BlockSize(linear.block.height, linear.block.width, linear.block.depth),
      microblock: microblock)
    kernel.weightBytes = slice.weightBytes
    kernel.weightRegion = Region.staging.rawValue
    kernel.scaleBytes = slice.scaleBytes
    kernel.scaleRegion = Region.staging.rawValue
    kernel.usesWideAccumulators = packed.key.inputBits == 16
    kernel.bufferLayout = linear.block.ifmBankEnd << 8 | linear.block.accumulatorStart
    kernel.blockDependency = independentBlockDependency
    return kernel
  }

  private func setLayer(_ linear: JobLinear, _ w: inout CommandWriter) throws(CommandWriterError) {
    let packed = linear.packed
    let inputBytes = packed.key.inputElement.byteCount
    try w.set(.ifmRegion, Region.arena.rawValue)
    try w.setAddress(.ifmBase0, linear.inputOffset)
    try w.setAddress(.ifmBase1, 0)
    try w.setAddress(.ifmBase2, 0)
    try w.setAddress(.ifmBase3, 0)
    try w.set(.ifmHeight0M1, 0)
    try w.set(.ifmHeight1M1, 0)
    try w.set(.ifmWidth0M1, linear.tokens - 1)
    try w.set(.ifmDepthM1, packed.inputs - 1)
    try w.setAddress(.ifmStrideY, linear.tokens * packed.inputs * inputBytes)
    try w.setAddress(.ifmStrideX, packed.inputs * inputBytes)
    try w.setAddress(.ifmStrideC, inputBytes)
    try w.set(.ifmZeroPoint, 0)
    // Signed; width in bits 3..2; NHWC.
    try w.set(.ifmPrecision, 1 | (packed.key.inputElement == .int16 ? 1 : 0) << 2)
    try w.set(.ifmUpscale, 0)
    try w.set(.ifmPadTop, 0)
    try w.set(.ifmPadLeft, 0)
    try w.set(.ifmPadBottom, 0)
    try w.set(.ifmPadRight, 0)

    let outputBytes = packed.key.outputElement.byteCount
    try w.set(.ofmRegion, Region.arena.rawValue)
    try w.setAddress(.ofmBase1, 0)
    try w.setAddress(.ofmBase2, 0)
    try w.setAddress(.ofmBase3, 0)
    try w.set(.ofmHeightM1, 0)
    try w.set(.ofmWidthM1, linear.tokens - 1)
    try w.set(.ofmHeight0M1, 0)
    try w.set(.ofmHeight1M1, 0)
    try w.set(.ofmWidth0M1, linear.tokens - 1)
    try w.setAddress(.ofmStrideY, linear.tokens * packed.outputs * outputBytes)
    try w.setAddress(.ofmStrideX, packed.outputs * outputBytes)
    try w.setAddress(.ofmStrideC, outputBytes)
    try w.set(.ofmZeroPoint, 0)
    // Signed; width in bits 2..1; per-channel scales; natural rounding in bits 15..14.
    try w.set(.ofmPrecision, 1 | (packed.key.outputElement == .int32 ? 2 : 1) << 1 | 2 << 14)

    try w.set(.kernelHeightM1, 0)
    try w.set(.kernelWidthM1, 0)
    try w.set(.kernelStride, 0)
    try w.set(.weightRegion, Region.staging.rawValue)
    try w.set(.scaleRegion, Region.staging.rawValue)
    try w.set(.activation, 0)
    try w.set(.activationMin, 0x8000)
    try w.set(.activationMax, 0x7FFF)
    try w.set(.ofmBlockHeightM1, linear.block.height - 1)
    try w.set(.ofmBlockWidthM1, linear.block.width - 1)
    try w.set(.ofmBlockDepthM1, linear.block.depth - 1)
    try w.set(.ifmIBEnd, linear.block.ifmBankEnd)
    try w.set(.abStart, linear.block.accumulatorStart)
    // 40-bit accumulators for 16-bit inputs.
    try w.set(.accFormat, packed.key.inputElement == .int16 ? 1 : 0)
    try w.set(.blockDep, Self.independentBlockDependency)
  }

  private func setSlice(
    _ slice: PackedSlice, of linear: JobLinear, staging: Int, _ w: inout CommandWriter
  ) throws(CommandWriterError) {
    try w.setAddress(
      .ofmBase0,
      linear.outputOffset + slice.firstChannel * linear.packed.key.outputElement.byteCount)
    try w.set(.ofmDepthM1, slice.channels - 1)
    try w.setAddress(.scaleBase, staging)
    try w.setAddress(.scaleLength, slice.scaleBytes)
    try w.setAddress(.weightBase, staging + slice.scaleBytes)
    try w.setAddress(.weightLength, slice.weightBytes)
  }
}
