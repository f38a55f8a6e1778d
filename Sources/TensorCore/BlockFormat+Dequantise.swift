extension BlockFormat {
  /// Dequantises whole blocks. `out` has room for all elements of `raw`.
  ///
  /// Bytes after the last whole block are ignored, and so are blocks that do not fit `out`. Every
  /// number is one or two float32 roundings of scale times integer, in the order the GGML family
  /// defines, so results equal its own to the last bit.
  public func dequantise(
    _ raw: UnsafeRawBufferPointer, into out: UnsafeMutableBufferPointer<Float>
  ) {
    let blocks = min(raw.count / bytesPerBlock, out.count / elementsPerBlock)
    guard blocks > 0, var source = raw.baseAddress, var target = out.baseAddress else { return }
    for _ in 0..<blocks {
      switch self {
      case .q4_0: dequantiseQ4(source, target)
      case .q4_1: dequantiseQ4WithMinimum(source, target)
      case .q5_0: dequantiseQ5(source, target)
      case .q5_1: dequantiseQ5WithMinimum(source, target)
      case .q8_0: dequantiseQ8(source, target)
      case .q2_k: dequantiseQ2K(source, target)
      case .q3_k: dequantiseQ3K(source, target)
      case .q4_k: dequantiseQ4K(source, target)
      case .q5_k: dequantiseQ5K(source, target)
      case .q6_k: dequantiseQ6K(source, target)
      }
      source += bytesPerBlock
      target += elementsPerBlock
    }
  }

  /// Where a block keeps its half-precision scales, as byte offsets.
  public var scaleOffsets: [Int] {
    switch self {
    case .q4_0, .q5_0, .q8_0: [0]
    case .q4_1, .q5_1, .q4_k, .q5_k: [0, 2]
    case .q2_k: [80, 82]
    case .q3_k: [108]
    case .q6_k: [208]
    }
  }

  /// The first block with an infinite or NaN scale: the only way a block can hold such a number.
  public func firstNonFiniteBlock(_ raw: UnsafeRawBufferPointer) -> Int? {
    let stride = bytesPerBlock
    let blocks = raw.count / stride
    for offset in scaleOffsets {
      for block in 0..<blocks {
        let bits = UInt16(
          littleEndian: raw.loadUnaligned(fromByteOffset: block * stride + offset, as: UInt16.self))
        if bits & 0x7C00 == 0x7C00 { return block }
      }
    }
    return nil
  }
}

/// The half-precision number at a byte offset.
@inline(__always)
func halfScale(_ block: UnsafeRawPointer, _ offset: Int) -> Float {
  HalfFloat.float(
    UInt16(littleEndian: block.loadUnaligned(fromByteOffset: offset, as: UInt16.self)))
}

/// The byte at an offset.
@inline(__always)
func byte(_ block: UnsafeRawPointer, _ offset: Int) -> UInt8 {
  block.load(fromByteOffset: offset, as: UInt8.self)
}

/// `d f16, 16 bytes of two nibbles`: `d * (q - 8)`; low nibbles are the first half of the block.
private func dequantiseQ4(_ block: UnsafeRawPointer, _ out: UnsafeMutablePointer<Float>) {
  let d = halfScale(block, 0)
  for i in 0..<16 {
    let q = byte(block, 2 + i)
    out[i] = Float(Int32(q & 15) &- 8) * d
    out[i + 16] = Float(Int32(q >> 4) &- 8) * d
  }
}

/// `d f16, m f16, 16 bytes of two nibbles`: `d * q + m`.
private func dequantiseQ4WithMinimum(_ block: UnsafeRawPointer, _ out: UnsafeMutablePointer<Float>)
{
  let d = halfScale(block, 0)
  let m = halfScale(block, 2)
  for i in 0..<16 {
    let q = byte(block, 4 + i)
    out[i] = Float(q & 15) * d + m
    out[i + 16] = Float(q >> 4) * d + m
  }
}

/// `d f16, 32 fifth bits, 16 bytes of two nibbles`: `d * (q - 16)`.
private func dequantiseQ5(_ block: UnsafeRawPointer, _ out: UnsafeMutablePointer<Float>) {
  let d = halfScale(block, 0)
  let high = UInt32(littleEndian: block.loadUnaligned(fromByteOffset: 2, as: UInt32.self))
  for i in 0..<16 {
    let q = UInt32(byte(block, 6 + i))
    let top = UInt32(truncatingIfNeeded: i)
    let first = (q & 15) | ((high &>> top) & 1) << 4
    let second = (q >> 4) | ((high &>> (top &+ 16)) & 1) << 4
    out[i] = Float(Int32(bitPattern: first) &- 16) * d
    out[i + 16] = Float(Int32(bitPattern: second) &- 16) * d
  }
}

/// `d f16, m f16, 32 fifth bits, 16 bytes of two nibbles`: `d * q + m`.
private func dequantiseQ5WithMinimum(_ block: UnsafeRawPointer, _ out: UnsafeMutablePointer<Float>)
{
  let d = halfScale(block, 0)
  let m = halfScale(block, 2)
  let high = UInt32(littleEndian: block.loadUnaligned(fromByteOffset: 4, as: UInt32.self))
  for i in 0..<16 {
    let q = UInt32(byte(block, 8 + i))
    let top = UInt32(truncatingIfNeeded: i)
    let first = (q & 15) | ((high &>> top) & 1) << 4
    let second = (q >> 4) | ((high &>> (top &+ 16)) & 1) << 4
    out[i] = Float(Int32(bitPattern: first)) * d + m
    out[i + 16] = Float(Int32(bitPattern: second)) * d + m
  }
}

/// `d f16, 32 signed bytes`: `d * q`.
private func dequantiseQ8(_ block: UnsafeRawPointer, _ out: UnsafeMutablePointer<Float>) {
  let d = halfScale(block, 0)
  let q = (block + 2).assumingMemoryBound(to: Int8.self)
  for i in 0..<32 { out[i] = Float(q[i]) * d }
}
