/// Encodes weights losslessly in the format of the standard weight decoder (SWD).
///
/// One palette for the whole stream, chosen together with the Golomb-Rice divisor by pricing every
/// combination on the histogram. Unlike Arm's encoder the palette is the most frequent values and
/// directly coded values start right behind it, and its size is searched: weight-stream specification,
/// section 6, knobs 1 to 3. Every stream is legal for the decoder of section 2 and is decoded by Arm's
/// own codec in the oracle tests.
public enum StandardWeightEncoder {
  /// Encodes `weights`, in the order the hardware reads them, each −255…255. Never empty.
  ///
  /// Returns a stream whose size is a multiple of 16 bytes.
  public static func encode(_ weights: UnsafeBufferPointer<Int16>) -> [UInt8] {
    precondition(!weights.isEmpty, "a stream cannot be empty")
    var counts = [Int](repeating: 0, count: 512)
    var runCounts = [Int](repeating: 0, count: 8)
    counts.withUnsafeMutableBufferPointer { counts in
      for weight in weights { counts[fold(weight)] &+= 1 }
    }
    var plan = StreamPlan.best(counts: counts, runBits: nil)
    // Zero runs only pay when zeros dominate; pricing them needs a pass over the weights.
    if counts[0] * 4 > weights.count {
      let runs = runLengths(weights)
      for divisor in 0..<4 {
        runCounts[divisor] = runs.reduce(0) { $0 + (Int($1) >> divisor) + 1 + divisor }
      }
      let divisor = (0..<4).min { runCounts[$0] < runCounts[$1] } ?? 0
      var nonzero = counts
      nonzero[0] = 0
      if weights.count == counts[0] { nonzero[0] = 1 }
      let withRuns = StreamPlan.best(counts: nonzero, runBits: (divisor, runCounts[divisor]))
      if withRuns.bits < plan.bits { plan = withRuns }
    }
    return pack(weights, plan)
  }

  /// Folded form of a weight: magnitude times two, plus one for negative (section 1).
  @inline(__always)
  static func fold(_ weight: Int16) -> Int {
    Int(weight.magnitude) &* 2 &+ (weight < 0 ? 1 : 0)
  }

  /// Lengths of the zero runs before, between and after the nonzero weights; for weights that are all
  /// zero, the first counts as coded (section 3.2).
  private static func runLengths(_ weights: UnsafeBufferPointer<Int16>) -> [UInt32] {
    var runs: [UInt32] = []
    var run: UInt32 = 0
    for weight in weights {
      if weight == 0 {
        run &+= 1
      } else {
        runs.append(run)
        run = 0
      }
    }
    if runs.isEmpty { return [0, run &- 1] }
    runs.append(run)
    return runs
  }

  private static func pack(_ weights: UnsafeBufferPointer<Int16>, _ plan: StreamPlan) -> [UInt8] {
    var codes: [UInt16] = []
    var runs: [UInt32] = []
    codes.reserveCapacity(weights.count)
    plan.codeOf.withUnsafeBufferPointer { codeOf in
      if plan.runDivisor == nil {
        for weight in weights { codes.append(codeOf[fold(weight)]) }
      } else {
        for weight in weights where weight != 0 { codes.append(codeOf[fold(weight)]) }
        if codes.isEmpty { codes.append(codeOf[0]) }
      }
    }
    if plan.runDivisor != nil { runs = runLengths(weights) }
    var writer = BitWriter(capacity: plan.bits / 8 + 64)
    let limit = 32767
    codes.withUnsafeBufferPointer { codes in
      runs.withUnsafeBufferPointer { runs in
        for start in stride(from: 0, to: codes.count, by: limit) {
          let end = min(start + limit, codes.count)
          let first = start == 0
          writeHeader(&writer, plan, count: end - start, first: first)
          let slice = UnsafeBufferPointer(rebasing: codes[start..<end])
          let sliceRuns =
            plan.runDivisor == nil
            ? UnsafeBufferPointer(rebasing: runs[0..<0])
            : UnsafeBufferPointer(rebasing: runs[(first ? start : start + 1)...end])
          SliceWriter(plan: plan).write(slice, sliceRuns, &writer)
        }
      }
    }
    writer.write(7, 3)
    writer.finish(alignment: 16)
    return writer.bytes
  }

  /// Slice header, section 2.2.
  private static func writeHeader(
    _ writer: inout BitWriter, _ plan: StreamPlan, count: Int, first: Bool
  ) {
    writer.write(UInt32(plan.runDivisor ?? 6), 3)
    writer.write(UInt32(count - 1), 15)
    writer.write(UInt32(plan.isRaw ? 7 : plan.divisor), 3)
    writer.write(plan.isTruncated ? 1 : 0, 1)
    writer.write(first ? 1 : 0, 1)
    guard first else { return }
    writer.write(UInt32(plan.directOffset), 5)
    writer.write(UInt32(plan.palette.isEmpty ? 0 : plan.palette.count - 1), 5)
    writer.write(UInt32(plan.paletteBits - 2), 3)
    for value in plan.palette { writer.write(UInt32(value), plan.paletteBits) }
  }
}

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
  private static func bitWidth(_ value: Int) -> Int { Int.bitWidth - value.leadingZeroBitCount }
}

/// Packs one slice: unary parts in chunks, remainders one chunk late (section 3.1).
struct SliceWriter {
  private let divisor: Int
  private let isTruncated: Bool
  private let isRaw: Bool
  private let runDivisor: Int
  private let hasRuns: Bool

  init(plan: StreamPlan) {
    divisor = plan.divisor
    isTruncated = plan.isTruncated
    isRaw = plan.isRaw
    runDivisor = plan.runDivisor ?? 0
    hasRuns = plan.runDivisor != nil
  }

  func write(
    _ codes: UnsafeBufferPointer<UInt16>, _ runs: UnsafeBufferPointer<UInt32>,
    _ writer: inout BitWriter
  ) {
    let weightSlots = isRaw && divisor > 5 ? 8 : 12
    let runSlots = runDivisor < 3 ? 12 : 8
    let remainderMask = UInt32(1) << UInt32(divisor) &- 1
    let runMask = UInt32(1) << UInt32(runDivisor) &- 1
    var weightDone = 0
    var runDone = 0
    var nextWeight = 0
    var nextRun = 0
    var weightLeft = -1
    var runLeft: Int = -1
    // First and count of the values completed in the previous and in this step.
    var previousWeights = 0..<0
    var previousRuns = 0..<0
    while true {
      let balance = hasRuns ? weightDone - runDone : 0
      let doWeights = weightDone < codes.count && (!hasRuns || balance < 8)
      let doRuns = hasRuns && runDone < runs.count && balance >= 0
      let firstWeight = weightDone
      let firstRun = runDone
      var plane: UInt32 = 0
      var second: UInt32 = 0
      var secondBits = 0
      if doWeights {
        if isRaw {
          weightDone = min(weightDone + weightSlots, codes.count)
        } else {
          for slot in 0..<weightSlots {
            if weightLeft < 0 {
              guard nextWeight < codes.count else { break }
              weightLeft = Int(codes[nextWeight]) >> divisor
              nextWeight &+= 1
            }
            if weightLeft > 0 {
              plane |= 1 << UInt32(slot)
              if weightLeft > 1 { second |= 1 << UInt32(secondBits) }
              secondBits &+= 1
            }
            weightLeft &-= isTruncated ? 3 : 2
            if weightLeft < 0 {
              weightLeft = -1
              weightDone &+= 1
            }
          }
        }
      }
      var unary: UInt32 = 0
      if doRuns {
        for slot in 0..<runSlots {
          if runLeft < 0 {
            guard nextRun < runs.count else { break }
            runLeft = Int(runs[nextRun] >> UInt32(runDivisor))
            nextRun &+= 1
          }
          if runLeft > 0 { unary |= 1 << UInt32(slot) }
          runLeft &-= 1
          if runLeft < 0 { runDone &+= 1 }
        }
      }
      if doWeights && !isRaw { writer.write(plane, 12) }
      if doRuns { writer.write(unary, runSlots) }
      if doWeights && !isRaw { writer.write(second, secondBits) }
      if divisor > 0 {
        for i in previousWeights {
          writer.write(UInt32(codes[i]) & remainderMask, divisor)
        }
      }
      if runDivisor > 0 {
        for i in previousRuns { writer.write(runs[i] & runMask, runDivisor) }
      }
      previousWeights = firstWeight..<weightDone
      previousRuns = firstRun..<runDone
      if !doWeights && !doRuns { break }
    }
  }
}
