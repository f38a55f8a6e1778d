/// Registers that U85 has instead of those of U55 and U65.
extension StreamBuilder {
  /// An OFM of `height` x `width` x `depth` before the permutation, stored as the tensor says.
  mutating func ofmU85(
    _ stored: TestTensor, height: Int? = nil, width: Int? = nil, depth: Int? = nil,
    transpose: Int = 0, reverse: Int = 0, storage: Int = 0, isGlobal: Bool = true
  ) {
    ofm(stored, isGlobal: isGlobal)
    set(274, (height ?? stored.height) - 1)
    set(273, (width ?? stored.width) - 1)
    set(275, (depth ?? stored.depth) - 1)
    set(
      276,
      (stored.isSigned ? 1 : 0) | stored.bytes.trailingZeroBitCount << 1
        | (stored.isBricked ? 1 : 0) << 6 | (isGlobal ? 1 : 0) << 8 | reverse << 9
        | transpose << 11 | storage << 14)
    set(277, 15)
    set(278, 7)
    set(279, 31)
  }

  /// The second operand; `storage` 2 is a chaining buffer, 3 a scalar.
  mutating func ifm2U85(_ t: TestTensor, broadcast: Int = 0, storage: Int = 0) {
    ifm2(t, broadcast: broadcast)
    set(
      389,
      (t.isSigned ? 1 : 0) | t.bytes.trailingZeroBitCount << 2 | (t.isBricked ? 1 : 0) << 6
        | storage << 14)
  }

  /// ACC_FORMAT: microblock code, 48-bit accumulators, source of the accumulators, whether they stay.
  mutating func accumulators(
    microblock: Int = 1, isWide: Bool = false, source: Int = 0, stays: Bool = false
  ) {
    set(292, (isWide ? 1 : 0) | source << 4 | (stays ? 0x40 : 0) | microblock << 8)
  }

  /// OFM_SCALE (36), IFM_SCALE (37) or IFM2_SCALE (38) with rounding and double rounding.
  mutating func scaleU85(
    _ opcode: Int, multiplier: Int = 1, shift: Int = 0, rounding: Int = 1, doubleRound: Int = 0
  ) {
    setWide(opcode, multiplier)
    // The parameter is the upper half of the first word.
    patchParameter(shift | doubleRound << 6 | rounding << 13)
  }

  /// Function, table and clip of U85.
  mutating func activationU85(
    _ function: Int = 0, table: Int = 0, clips: Bool = true, low: Int = -32768, high: Int = 32767
  ) {
    set(293, function | table << 5 | (clips ? 0 : 0x1000))
    set(294, low)
    set(295, high)
  }
}
