/// Encodes weights losslessly in the format of the standard weight decoder (SWD).
///
/// Several encodings are planned, priced, and the smallest is written: one palette for everything or
/// one for each 131072 weights, chosen by pricing sizes and divisors on the histogram (direct offsets
/// past the palette, which Arm's encoders do not use); and what Arm's two encoders would make, so
/// that no stream is larger than theirs. Facts: the codecs of Arm's Vela.
public enum StandardWeightEncoder {
  /// Encodes `weights`, in the order the hardware reads them, each −255…255. Never empty.
  ///
  /// Returns a stream whose size is a multiple of 16 bytes. The conservative profile is always
  /// thorough.
  public static func encode(
    _ weights: UnsafeBufferPointer<Int16>, profile: EncoderProfile = .full,
    effort: EncoderEffort = .thorough
  ) -> [UInt8] {
    precondition(!weights.isEmpty, "a stream cannot be empty")
    var best: [UInt8]?
    /// Writes the sections if they may become smaller than what there is.
    func consider(_ sections: [StreamSection]) {
      let bits = sections.reduce(0) { $0 + $1.leastBits }
      if let best, (bits + 3 + 127) / 128 * 16 >= best.count { return }
      let stream = write(sections, bits: bits)
      if stream.count < best?.count ?? Int.max { best = stream }
    }
    let isQuick = effort == .quick && profile == .full
    let classic = isQuick ? [] : ArmPlanner.classic(weights)
    if profile == .full {
      let whole = ownPlan(weights)
      let pieces = cut(weights, at: Array(stride(from: 0, to: weights.count, by: 131_072)))
      let plans = pieces.count > 1 ? pieces.map(ownPlan) : [whole]
      if plans.count > 1 && plans.reduce(0, { $0 + $1.bits }) < whole.bits {
        consider(zip(pieces, plans).map { StreamSection($0, plan: $1) })
      } else {
        consider([StreamSection(weights, plan: whole)])
      }
      let isUneven = classic.contains { section in
        section.slices.contains { $0.end < section.codes.count && $0.end % 32767 != 0 }
      }
      if isUneven || classic.count > 1 {
        var one = StreamSection(weights, plan: whole)
        ArmPlanner.splitByShortestPath(&one)
        consider([one])
      }
      if classic.count > 1 {
        let starts = classic.reduce(into: [0]) { $0.append($0[$0.count - 1] + $1.weightCount) }
        consider(
          cut(weights, at: Array(starts.dropLast())).map { part in
            var section = StreamSection(part, plan: ownPlan(part))
            ArmPlanner.splitByShortestPath(&section)
            return section
          })
      }
    }
    if !isQuick {
      consider(classic)
      consider(ArmPlanner.regor(weights))
    }
    return best ?? []
  }

  /// Folded form of a weight: magnitude times two, plus one for negative (section 1).
  @inline(__always)
  static func fold(_ weight: Int16) -> Int {
    Int(weight.magnitude) &* 2 &+ (weight < 0 ? 1 : 0)
  }

  /// A stream of sections, its end marker and padding.
  static func write(_ sections: [StreamSection], bits: Int) -> [UInt8] {
    var writer = BitWriter(capacity: bits / 8 + 64)
    for section in sections { section.write(to: &writer) }
    writer.write(7, 3)
    writer.finish(alignment: 16)
    return writer.bytes
  }

  /// The parts of `weights` that start at the given indices, which ascend from 0.
  static func cut(
    _ weights: UnsafeBufferPointer<Int16>, at starts: [Int]
  ) -> [UnsafeBufferPointer<Int16>] {
    zip(starts, starts.dropFirst() + [weights.count]).map {
      UnsafeBufferPointer(rebasing: weights[$0..<$1])
    }
  }

  /// How often each folded value occurs.
  static func histogram(_ weights: UnsafeBufferPointer<Int16>) -> [Int] {
    var counts = [Int](repeating: 0, count: 512)
    counts.withUnsafeMutableBufferPointer { counts in
      for weight in weights { counts[fold(weight)] &+= 1 }
    }
    return counts
  }

  /// The cheapest single section with one slice.
  private static func ownPlan(_ weights: UnsafeBufferPointer<Int16>) -> StreamPlan {
    let counts = histogram(weights)
    let plan = StreamPlan.best(counts: counts, runBits: nil)
    // Zero runs only pay when zeros are frequent; pricing them needs a pass over the weights.
    guard counts[0] * 4 > weights.count else { return plan }
    let runBits = runPrices(weights)
    let divisor = (0..<4).min { runBits[$0] < runBits[$1] } ?? 0
    var nonzero = counts
    nonzero[0] = weights.count == counts[0] ? 1 : 0
    let withRuns = StreamPlan.best(counts: nonzero, runBits: (divisor, runBits[divisor]))
    return withRuns.bits < plan.bits ? withRuns : plan
  }

  /// Bits of all zero runs by divisor exponent.
  private static func runPrices(_ weights: UnsafeBufferPointer<Int16>) -> SIMD4<Int> {
    var total = SIMD4<Int>.zero
    var run = 0
    func add(_ run: Int) { total &+= SIMD4(run &+ 1, run >> 1 &+ 2, run >> 2 &+ 3, run >> 3 &+ 4) }
    for weight in weights {
      if weight == 0 {
        run &+= 1
      } else {
        add(run)
        run = 0
      }
    }
    add(run)
    return total
  }
}
