/// Packs one slice: unary parts in chunks, remainders one chunk late (section 3.1).
struct SliceWriter {
  private let divisor: Int
  private let isTruncated: Bool
  private let isRaw: Bool
  private let runDivisor: Int
  private let hasRuns: Bool

  /// A writer of slices with the given codes; `runDivisor` is nil without zero runs.
  init(_ coding: CodeConfiguration, rawWidth: Int, runDivisor: Int?) {
    isRaw = coding.isRaw
    divisor = coding.isRaw ? rawWidth : coding.divisor
    isTruncated = coding.isTruncated
    self.runDivisor = runDivisor ?? 0
    hasRuns = runDivisor != nil
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
