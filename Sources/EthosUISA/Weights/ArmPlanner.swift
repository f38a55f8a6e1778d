/// Makes the choices of Arm's two weight encoders: the C codec of Vela 3 ("classic") and the one of
/// Vela 4 and later ("regor"). Their streams are a ceiling for the size of ours, and the conservative
/// profile.
enum ArmPlanner {
  /// Sections and slices of the classic encoder.
  static func classic(_ weights: UnsafeBufferPointer<Int16>) -> [StreamSection] {
    let starts = ClassicSectionSearch.starts(weights)
    return StandardWeightEncoder.cut(weights, at: starts).map { part in
      let counts = StandardWeightEncoder.histogram(part)
      let others = counts.dropFirst().max() ?? 0
      var section = section(part, counts, hasRuns: counts[0] > 4 * others, threshold: .moreThanHalf)
      splitByShortestPath(&section)
      return section
    }
  }

  /// Sections and slices of the regor encoder, which starts a section every `piece` weights.
  static func regor(
    _ weights: UnsafeBufferPointer<Int16>, piece: Int = 131_072
  ) -> [StreamSection] {
    let starts = Array(stride(from: 0, to: weights.count, by: piece))
    return StandardWeightEncoder.cut(weights, at: starts).map { part in
      let counts = StandardWeightEncoder.histogram(part)
      let others = counts.dropFirst().max() ?? 0
      let hasRuns = counts[0] > 5 * others && zerosInRuns(part) >= counts[0] / 2
      var section = section(part, counts, hasRuns: hasRuns, threshold: .atLeastHalf)
      splitGreedily(&section)
      return section
    }
  }

  private enum Threshold { case moreThanHalf, atLeastHalf }

  /// Zeros that have a zero beside them.
  private static func zerosInRuns(_ weights: UnsafeBufferPointer<Int16>) -> Int {
    var total = 0
    var run = 0
    for weight in weights {
      if weight == 0 {
        run &+= 1
      } else {
        if run >= 2 { total &+= run }
        run = 0
      }
    }
    return run >= 2 ? total + run : total
  }

  /// A section with the palette that both encoders construct.
  private static func section(
    _ weights: UnsafeBufferPointer<Int16>, _ allCounts: [Int], hasRuns: Bool, threshold: Threshold
  ) -> StreamSection {
    var counts = allCounts
    if hasRuns { counts[0] = 0 }
    let used = counts.indices.filter { counts[$0] > 0 }
    let total = counts.reduce(0, +)
    let largest = used.last ?? 0
    let offset = min(used.first ?? 0, 31)
    let allFit = (1...32).contains(used.count)
    var limit = allFit ? 32 : min(32, 511 - largest)
    if limit == 1 { limit = 0 }
    var palette = Array(used.sorted { (counts[$1], $1) < (counts[$0], $0) }.prefix(max(0, limit)))
    if palette.count == 1 { palette.append(0) }
    let covered = Set(palette).reduce(0) { $0 + counts[$1] }
    let isUsed = threshold == .moreThanHalf ? covered > total / 2 : covered >= total / 2
    if !isUsed { palette = [] }
    let widest = palette.isEmpty ? largest : palette.max() ?? 0
    let paletteBits = max(2, StreamPlan.bitWidth(widest))
    let rawWidth: Int? =
      allFit && !palette.isEmpty
      ? StreamPlan.bitWidth(palette.count - 1) : palette.isEmpty ? paletteBits : nil
    var codeOf = (0..<512).map { folded in
      // Arm codes a zero outside the palette as minus zero.
      UInt16(max(0, (folded == 0 ? 1 : folded) + palette.count - offset))
    }
    for (i, value) in palette.enumerated() { codeOf[value] = UInt16(i) }
    return StreamSection(
      weights, palette: palette, directOffset: offset, paletteBits: paletteBits,
      rawWidth: rawWidth, hasRuns: hasRuns, codeOf: codeOf)
  }
}
