/// The standard weight decoder: the Golomb-Rice coded stream of all Ethos-U.
///
/// A stream is a row of slices; palette, direct offset and the use of zero runs carry over from slice to
/// slice, everything else starts fresh.
struct StandardWeightDecoder {
  private var reader: BitReader
  private let expected: Int
  private var palette: [Int] = []
  private var directOffset = 0
  private var paletteBits = 2
  private var usesRuns = false
  private var output: [Int16] = []
  private var codes: [Int32] = []
  private var runs: [Int32] = []

  /// Decodes a stream of exactly `count` weights in stream order.
  static func decode(_ bytes: UnsafeRawBufferPointer, count: Int) throws(Fault) -> [Int16] {
    var decoder = StandardWeightDecoder(reader: BitReader(bytes), expected: count)
    decoder.output.reserveCapacity(count)
    try decoder.run()
    guard decoder.output.count == count else {
      throw .weightStream("holds \(decoder.output.count) weights where \(count) are used")
    }
    return decoder.output
  }

  private init(reader: BitReader, expected: Int) {
    self.reader = reader
    self.expected = expected
  }

  private mutating func run() throws(Fault) {
    var hasPalette = false
    while reader.remaining >= 3 {
      let divisor = try reader.bits(3)
      if divisor == 7 {
        reader.alignToByte()
        hasPalette = false
        continue
      }
      guard divisor <= 3 || divisor == 6 else {
        throw .weightStream("zero run divisor \(divisor) does not exist")
      }
      let count = try reader.bits(15) + 1
      let weightDivisor = try reader.bits(3)
      guard weightDivisor != 6 else { throw .weightStream("weight divisor 6 does not exist") }
      let isTruncated = try reader.bits(1) == 1
      let isNewPalette = try reader.bits(1) == 1
      guard isNewPalette || hasPalette else {
        throw .weightStream("the first slice has no palette header")
      }
      if isNewPalette {
        try readPalette()
        hasPalette = true
        usesRuns = divisor != 6
      }
      guard usesRuns == (divisor != 6) else {
        throw .weightStream("zero runs change without a new palette")
      }
      if weightDivisor == 7, !usesRuns {
        try emitRaw(count: count)
        continue
      }
      try readSlice(
        count: count, runDivisor: divisor, weightDivisor: weightDivisor,
        isTruncated: isTruncated, isNewPalette: isNewPalette)
      try emit(isNewPalette: isNewPalette)
    }
  }

  private mutating func readPalette() throws(Fault) {
    directOffset = try reader.bits(5)
    let size = try reader.bits(5)
    paletteBits = try reader.bits(3) + 2
    palette.removeAll(keepingCapacity: true)
    guard size > 0 else { return }
    for _ in 0...size { palette.append(try reader.bits(paletteBits)) }
  }

  /// Bits of a code that has no unary part.
  private var rawBits: Int {
    palette.isEmpty ? paletteBits : Int.bitWidth - (palette.count - 1).leadingZeroBitCount
  }

  /// A raw slice without zero runs: nothing stands between its codes.
  private mutating func emitRaw(count: Int) throws(Fault) {
    guard count <= expected - output.count else { throw tooMany }
    let bits = rawBits
    for _ in 0..<count {
      let v = try reader.bits(bits)
      let folded = v < palette.count ? palette[v] : v - palette.count + directOffset
      let magnitude = folded >> 1
      output.append(Int16(truncatingIfNeeded: folded & 1 == 1 ? -magnitude : magnitude))
    }
  }

  /// Reads the chunks of a slice into `codes` and `runs`.
  ///
  /// Quotients and remainders are one step apart: a step holds the unary parts of some values and the
  /// remainders of those completed in the step before.
  private mutating func readSlice(
    count: Int, runDivisor: Int, weightDivisor: Int, isTruncated: Bool, isNewPalette: Bool
  ) throws(Fault) {
    let isRaw = weightDivisor == 7
    let weightBits = isRaw ? rawBits : weightDivisor
    let weightSlots = isRaw && weightBits > 5 ? 8 : 12
    let runSlots = runDivisor < 3 ? 12 : 8
    let runCount = usesRuns ? count + (isNewPalette ? 1 : 0) : 0
    codes.removeAll(keepingCapacity: true)
    runs.removeAll(keepingCapacity: true)
    var weightPosition = 0
    var runPosition = 0
    var weightCarry: Int32 = 0
    var runCarry: Int32 = 0
    // Quotients of the step before and of this one: at most 12 each.
    var previousWeights: [Int32] = []
    var previousRuns: [Int32] = []
    var currentWeights: [Int32] = []
    var currentRuns: [Int32] = []
    while true {
      let lead = usesRuns ? weightPosition - runPosition : 0
      let readsWeights = weightPosition < count && lead < 8
      let readsRuns = usesRuns && runPosition < runCount && lead >= 0
      currentWeights.removeAll(keepingCapacity: true)
      currentRuns.removeAll(keepingCapacity: true)
      let first = readsWeights && !isRaw ? try reader.bits(12) : 0
      if readsRuns {
        let unary = try reader.bits(runSlots)
        for i in 0..<runSlots {
          if unary >> i & 1 == 1 {
            runCarry &+= 1
          } else {
            currentRuns.append(runCarry)
            runCarry = 0
          }
        }
        runPosition += currentRuns.count
      }
      if readsWeights {
        if isRaw {
          for _ in 0..<weightSlots { currentWeights.append(0) }
        } else {
          var second = try reader.bits(first.nonzeroBitCount)
          for i in 0..<weightSlots {
            var slot: Int32 = 0
            if first >> i & 1 == 1 {
              slot = 1 + Int32(second & 1)
              second >>= 1
            }
            weightCarry &+= slot
            if slot < 2 || isTruncated {
              currentWeights.append(weightCarry)
              weightCarry = 0
            }
          }
        }
        weightPosition += currentWeights.count
      }
      for quotient in previousWeights where codes.count < count {
        let code = (Int(quotient) << weightBits) + (try reader.bits(weightBits))
        guard code <= 511 else { throw .weightStream("weight code \(code) exceeds 511") }
        codes.append(Int32(code))
      }
      for quotient in previousRuns where runs.count < runCount {
        let run = (Int(quotient) << runDivisor) + (try reader.bits(runDivisor))
        guard run <= expected else {
          throw .weightStream("zero run of \(run) in \(expected) weights")
        }
        runs.append(Int32(run))
      }
      swap(&previousWeights, &currentWeights)
      swap(&previousRuns, &currentRuns)
      if !readsWeights && !readsRuns { return }
    }
  }

  private mutating func emit(isNewPalette: Bool) throws(Fault) {
    var nextRun = 0
    if usesRuns, isNewPalette {
      try emitZeros()
    }
    for code in codes {
      let v = Int(code)
      let folded = v < palette.count ? palette[v] : v - palette.count + directOffset
      let magnitude = folded >> 1
      guard output.count < expected else { throw tooMany }
      output.append(Int16(truncatingIfNeeded: folded & 1 == 1 ? -magnitude : magnitude))
      if usesRuns { try emitZeros() }
    }

    func emitZeros() throws(Fault) {
      guard nextRun < runs.count else { throw .weightStream("a zero run is missing") }
      let run = Int(runs[nextRun])
      nextRun += 1
      guard run <= expected - output.count else { throw tooMany }
      for _ in 0..<run { output.append(0) }
    }
  }

  private var tooMany: Fault { .weightStream("holds more than the \(expected) weights used") }
}
