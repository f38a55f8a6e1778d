// The "K" formats: super-blocks of 256 with small integer scales for runs of 16 or 32 elements.
// Layouts: the GGML family's quantisation structures, as its gguf Python package documents them.

/// `16 bytes scale|minimum nibbles, 64 bytes of four 2-bit codes, d f16, dmin f16`, runs of 16.
func dequantiseQ2K(_ block: UnsafeRawPointer, _ out: UnsafeMutablePointer<Float>) {
  let d = halfScale(block, 80)
  let dmin = halfScale(block, 82)
  for run in 0..<16 {
    let packed = byte(block, run)
    let scale = d * Float(packed & 15)
    let minimum = dmin * Float(packed >> 4)
    // A half of 128 elements keeps its codes in 32 bytes; each pair of runs takes 2 of their bits.
    let codes = 16 + (run >> 3) * 32 + (run & 1) * 16
    let shift = UInt8(truncatingIfNeeded: (run >> 1 & 3) * 2)
    for i in 0..<16 {
      out[run * 16 + i] = scale * Float((byte(block, codes + i) &>> shift) & 3) - minimum
    }
  }
}

/// `32 bytes of inverted third bits, 64 bytes of four 2-bit codes, 12 bytes of 6-bit scales, d f16`,
/// runs of 16.
func dequantiseQ3K(_ block: UnsafeRawPointer, _ out: UnsafeMutablePointer<Float>) {
  let d = halfScale(block, 108)
  for run in 0..<16 {
    let low = run < 8 ? byte(block, 96 + run) & 15 : byte(block, 96 + run - 8) >> 4
    let high = byte(block, 104 + (run & 3)) &>> UInt8(truncatingIfNeeded: (run >> 2) * 2) & 3
    let scale = d * Float(Int32(low | high << 4) &- 32)
    let codes = 32 + (run >> 3) * 32 + (run & 1) * 16
    let shift = UInt8(truncatingIfNeeded: (run >> 1 & 3) * 2)
    let mask = (run & 1) * 16
    let bit = UInt8(truncatingIfNeeded: run >> 1)
    for i in 0..<16 {
      let code = Int32((byte(block, codes + i) &>> shift) & 3)
      let third = Int32((byte(block, mask + i) &>> bit) & 1)
      out[run * 16 + i] = scale * Float(code &+ (third << 2) &- 4)
    }
  }
}

/// The 6-bit scale and minimum of run `run` (of 8) in the 12 bytes at `packed`.
@inline(__always)
private func scaleAndMinimum(_ block: UnsafeRawPointer, _ packed: Int, _ run: Int) -> (
  scale: Float, minimum: Float
) {
  if run < 4 {
    return (Float(byte(block, packed + run) & 63), Float(byte(block, packed + run + 4) & 63))
  }
  let low = byte(block, packed + run + 4)
  return (
    Float((low & 15) | (byte(block, packed + run - 4) >> 6) << 4),
    Float((low >> 4) | (byte(block, packed + run) >> 6) << 4)
  )
}

/// `d f16, dmin f16, 12 bytes of scales and minima, 128 bytes of two nibbles`, runs of 32.
func dequantiseQ4K(_ block: UnsafeRawPointer, _ out: UnsafeMutablePointer<Float>) {
  let d = halfScale(block, 0)
  let dmin = halfScale(block, 2)
  for run in 0..<8 {
    let packed = scaleAndMinimum(block, 4, run)
    let scale = d * packed.scale
    let minimum = dmin * packed.minimum
    let codes = 16 + (run >> 1) * 32
    let shift = UInt8(truncatingIfNeeded: (run & 1) * 4)
    for i in 0..<32 {
      out[run * 32 + i] = scale * Float((byte(block, codes + i) &>> shift) & 15) - minimum
    }
  }
}

/// `d f16, dmin f16, 12 bytes of scales and minima, 32 bytes of fifth bits, 128 bytes of two
/// nibbles`, runs of 32.
func dequantiseQ5K(_ block: UnsafeRawPointer, _ out: UnsafeMutablePointer<Float>) {
  let d = halfScale(block, 0)
  let dmin = halfScale(block, 2)
  for run in 0..<8 {
    let packed = scaleAndMinimum(block, 4, run)
    let scale = d * packed.scale
    let minimum = dmin * packed.minimum
    let codes = 48 + (run >> 1) * 32
    let shift = UInt8(truncatingIfNeeded: (run & 1) * 4)
    let bit = UInt8(truncatingIfNeeded: run)
    for i in 0..<32 {
      let code = (byte(block, codes + i) &>> shift) & 15
      let fifth = (byte(block, 16 + i) &>> bit) & 1
      out[run * 32 + i] = scale * Float(code | fifth << 4) - minimum
    }
  }
}

/// `128 bytes of low nibbles, 64 bytes of high bit pairs, 16 signed scales, d f16`, runs of 16.
func dequantiseQ6K(_ block: UnsafeRawPointer, _ out: UnsafeMutablePointer<Float>) {
  let d = halfScale(block, 208)
  for run in 0..<16 {
    let scale = d * Float(Int8(bitPattern: byte(block, 192 + run)))
    let half = run >> 3
    let quarter = run >> 1 & 3
    let low = half * 64 + (quarter & 1) * 32 + (run & 1) * 16
    let lowShift = UInt8(truncatingIfNeeded: (quarter >> 1) * 4)
    let high = 128 + half * 32 + (run & 1) * 16
    let highShift = UInt8(truncatingIfNeeded: quarter * 2)
    for i in 0..<16 {
      let nibble = Int32((byte(block, low + i) &>> lowShift) & 15)
      let pair = Int32((byte(block, high + i) &>> highShift) & 3)
      out[run * 16 + i] = scale * Float((nibble | pair << 4) &- 32)
    }
  }
}
