/// How one stream is coded.
struct StreamPlan {
  /// Folded values of the palette, by index: none, or 2 to 32.
  var palette: [Int] = []
  /// What a directly coded value is relative to.
  var directOffset = 0
  /// Bits of a palette entry, and of a code in raw mode without a palette.
  var paletteBits = 2
  /// Golomb-Rice divisor exponent, or bits of a code in raw mode.
  var divisor = 0
  var isTruncated = false
  var isRaw = false
  /// Divisor exponent of zero runs; nil without runs.
  var runDivisor: Int?
  /// Code of each folded value.
  var codeOf: [UInt16] = []
  /// Bits of a code in raw mode; nil where it cannot be used.
  var rawWidth: Int?
  /// Estimated bits of the stream.
  var bits = Int.max

  /// The cheapest plan for values with the given counts (by folded value).
  ///
  /// - Parameter runBits: the run divisor and all bits of the runs, when zeros are coded as runs.
  static func best(counts: [Int], runBits: (divisor: Int, bits: Int)?) -> StreamPlan {
    let used = counts.indices.filter { counts[$0] > 0 }
    let byFrequency = used.sorted { (counts[$1], $0) < (counts[$0], $1) }
    let largest = used.last ?? 0
    let total = counts.reduce(0, +)
    var best = StreamPlan()
    // The histogram of codes has as many entries as there are codes.
    var histogram = [Int](repeating: 0, count: 512)
    let sizes = [0, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 31, 32]
    for wanted in sizes {
      var palette = Array(byFrequency.prefix(wanted))
      if wanted > 0, used.count < wanted, !sizes.contains(used.count) || used.count == 1 {
        // Fewer values than entries: the size itself is no candidate, so take what there is.
        if used.count == 1 { palette.append(palette[0] == 0 ? 2 : 0) }
      } else if palette.count < wanted {
        continue
      }
      let inPalette = Set(palette)
      let direct = used.filter { !inPalette.contains($0) }
      let offset = min(direct.first ?? 0, 31)
      let highest = direct.isEmpty ? palette.count - 1 : palette.count + largest - offset
      guard highest <= 511, highest >= 0 else { continue }
      for i in 0...highest { histogram[i] = 0 }
      for (i, value) in palette.enumerated() { histogram[i] = counts[value] }
      for value in direct { histogram[palette.count + value - offset] = counts[value] }
      let entryBits = max(2, bitWidth((palette.isEmpty ? largest : palette.max() ?? 0)))
      let header = 36 + palette.count * entryBits
      func consider(divisor: Int, truncated: Bool, raw: Bool, bits: Int) {
        guard bits < best.bits else { return }
        best.palette = palette
        best.directOffset = offset
        best.paletteBits = entryBits
        best.divisor = divisor
        best.isTruncated = truncated
        best.isRaw = raw
        best.bits = bits
        best.rawWidth =
          direct.isEmpty || palette.isEmpty
          ? (palette.isEmpty ? entryBits : max(1, bitWidth(palette.count - 1))) : nil
      }
      for divisor in 0...5 {
        var normal = header + (runBits?.bits ?? 0)
        var truncated = normal
        for code in 0...highest where histogram[code] > 0 {
          let quotient = code >> divisor
          normal += histogram[code] * (quotient + 1 + divisor)
          truncated += histogram[code] * (min(quotient + 1, 2) + divisor)
        }
        // Arm never exceeds these quotients; nor do we, in case the hardware has such a limit.
        if highest >> divisor <= 31 {
          consider(divisor: divisor, truncated: false, raw: false, bits: normal)
        }
        if highest >> divisor <= 2 {
          consider(divisor: divisor, truncated: true, raw: false, bits: truncated)
        }
      }
      if direct.isEmpty || palette.isEmpty {
        let width = palette.isEmpty ? entryBits : max(1, bitWidth(palette.count - 1))
        consider(
          divisor: width, truncated: false, raw: true,
          bits: header + (runBits?.bits ?? 0) + total * width)
      }
    }
    best.runDivisor = runBits?.divisor
    best.codeOf = [UInt16](repeating: 0, count: 512)
    for value in used where value >= best.directOffset {
      best.codeOf[value] = UInt16(best.palette.count + value - best.directOffset)
    }
    for (i, value) in best.palette.enumerated() { best.codeOf[value] = UInt16(i) }
    return best
  }

  /// Bits needed for `value`.
  static func bitWidth(_ value: Int) -> Int { Int.bitWidth - value.leadingZeroBitCount }
}
