/// Decodes streams of the standard weight decoder (SWD), the format of `StandardWeightEncoder`.
///
/// Facts: Arm's Vela and its reference decoder. Any bytes are
/// safe to decode: every field is checked, and the output is never larger than the caller's buffer,
/// although a few bytes can stand for very long runs of zeros.
public enum StandardWeightDecoder {
  /// The weights of `bytes`, in the order the hardware reads them.
  ///
  /// - Parameter limit: the most weights that may come out.
  public static func decode(_ bytes: [UInt8], limit: Int) throws(WeightStreamError) -> [Int16] {
    var failure: WeightStreamError?
    // The array grows by doubling, so that a huge limit costs nothing for a short stream.
    var capacity = min(max(limit, 0), max(1024, bytes.count &* 4))
    while true {
      failure = nil
      let result = [Int16](unsafeUninitializedCapacity: capacity) { out, count in
        let room = UnsafeMutableBufferPointer(rebasing: out[0..<capacity])
        let outcome = bytes.withUnsafeBufferPointer { source in
          Result { () throws(WeightStreamError) in try decode(source, into: room) }
        }
        switch outcome {
        case .success(let written): count = written
        case .failure(let error):
          failure = error
          count = 0
        }
      }
      guard let error = failure else { return result }
      guard case .tooManyWeights = error.kind, capacity < limit else { throw error }
      capacity = capacity > limit / 4 ? limit : capacity * 4
    }
  }

  /// Decodes `bytes` into `out` and returns how many weights there were; they must fit.
  public static func decode(
    _ bytes: UnsafeBufferPointer<UInt8>, into out: UnsafeMutableBufferPointer<Int16>
  ) throws(WeightStreamError) -> Int {
    var decoder = SliceDecoder(WeightBitReader(bytes), out: out)
    while decoder.reader.remaining >= 3 {
      let divisor = Int(decoder.reader.read(3))
      if divisor == 7 {
        decoder.reader.alignToByte()
        decoder.hasPalette = false
        continue
      }
      try decoder.slice(zeroDivisor: divisor)
    }
    return decoder.written
  }
}

/// The state of a decoder that lives across slices, and the buffers of one slice.
private struct SliceDecoder {
  var reader: WeightBitReader
  var hasPalette = false
  private(set) var written = 0
  private let out: UnsafeMutableBufferPointer<Int16>
  private var weightOf = [Int16](repeating: 0, count: 512)
  /// Codes below this have a weight.
  private var codeLimit = 0
  private var paletteCount = 0
  private var paletteBits = 2
  private var hasRuns = false
  private var codes: [UInt16] = []
  private var runs: [UInt32] = []

  init(_ reader: WeightBitReader, out: UnsafeMutableBufferPointer<Int16>) {
    self.reader = reader
    self.out = out
  }

  private func failure(_ kind: WeightStreamError.Kind) -> WeightStreamError {
    WeightStreamError(kind, bitOffset: reader.position)
  }

  mutating func slice(zeroDivisor: Int) throws(WeightStreamError) {
    let count = Int(reader.read(15)) &+ 1
    let divisor = Int(reader.read(3))
    let isTruncated = reader.read(1) != 0
    let newPalette = reader.read(1) != 0
    if zeroDivisor == 4 || zeroDivisor == 5 {
      throw failure(.invalidHeader(field: "ZDIV", value: zeroDivisor))
    }
    if divisor == 6 { throw failure(.invalidHeader(field: "WDIV", value: divisor)) }
    if newPalette {
      hasRuns = zeroDivisor != 6
      try readPalette()
    } else {
      guard hasPalette else { throw failure(.missingPalette) }
      guard hasRuns == (zeroDivisor != 6) else { throw failure(.runModeChanged) }
    }
    if reader.isPastEnd { throw failure(.truncated) }
    // A weight takes at least a bit of output; refuse early what cannot fit.
    if count > out.count &- written { throw failure(.tooManyWeights(limit: out.count)) }
    let isRaw = divisor == 7
    let width =
      !isRaw ? divisor : paletteCount > 0 ? Self.bits(of: paletteCount - 1) : paletteBits
    try readChunks(
      count: count, runCount: hasRuns ? count &+ (newPalette ? 1 : 0) : 0, isRaw: isRaw,
      isTruncated: isTruncated, width: width, runDivisor: hasRuns ? zeroDivisor : 0)
    try emit(count: count, leadingRun: newPalette)
  }

  private static func bits(of value: Int) -> Int { Int.bitWidth - value.leadingZeroBitCount }

  private mutating func readPalette() throws(WeightStreamError) {
    let offset = Int(reader.read(5))
    let size = Int(reader.read(5))
    paletteBits = Int(reader.read(3)) &+ 2
    paletteCount = size == 0 ? 0 : size &+ 1
    for i in 0..<paletteCount { weightOf[i] = Self.unfold(Int(reader.read(paletteBits))) }
    codeLimit = min(512, paletteCount &+ 512 &- offset)
    for code in paletteCount..<codeLimit {
      weightOf[code] = Self.unfold(code &- paletteCount &+ offset)
    }
    hasPalette = true
  }

  private static func unfold(_ folded: Int) -> Int16 {
    let magnitude = Int16(truncatingIfNeeded: folded &>> 1)
    return folded & 1 != 0 ? 0 &- magnitude : magnitude
  }

  private mutating func readChunks(
    count: Int, runCount: Int, isRaw: Bool, isTruncated: Bool, width: Int, runDivisor: Int
  ) throws(WeightStreamError) {
    let slack = 16
    if codes.count < count &+ slack {
      codes = [UInt16](repeating: 0, count: count &+ slack)
    }
    if runs.count < runCount &+ slack {
      runs = [UInt32](repeating: 0, count: runCount &+ slack)
    }
    var source = reader
    let complete = codes.withUnsafeMutableBufferPointer { codes in
      runs.withUnsafeMutableBufferPointer { runs in
        Self.chunks(
          &source, codes, runs, count: count, runCount: runCount, isRaw: isRaw,
          isTruncated: isTruncated, width: width, runDivisor: runDivisor)
      }
    }
    reader = source
    if !complete { throw failure(.truncated) }
  }

  /// Reads all chunks of a slice; false when the bytes end too early. Quotients stay in `codes` and
  /// `runs` until their remainders come a chunk later.
  private static func chunks(
    _ reader: inout WeightBitReader, _ codes: UnsafeMutableBufferPointer<UInt16>,
    _ runs: UnsafeMutableBufferPointer<UInt32>, count: Int, runCount: Int, isRaw: Bool,
    isTruncated: Bool, width: Int, runDivisor: Int
  ) -> Bool {
    guard let base = codes.baseAddress else { return false }
    let steps = isTruncated ? UnaryStep.truncated : UnaryStep.complete
    return steps.withUnsafeBufferPointer { steps in
      chunks(
        &reader, codes, base, runs, steps, count: count, runCount: runCount, isRaw: isRaw,
        width: width, runDivisor: runDivisor)
    }
  }

  private static func chunks(
    _ reader: inout WeightBitReader, _ codes: UnsafeMutableBufferPointer<UInt16>,
    _ base: UnsafeMutablePointer<UInt16>, _ runs: UnsafeMutableBufferPointer<UInt32>,
    _ steps: UnsafeBufferPointer<UnaryStep>, count: Int, runCount: Int, isRaw: Bool, width: Int,
    runDivisor: Int
  ) -> Bool {
    let slots = isRaw && width > 5 ? 8 : 12
    let runSlots = runDivisor < 3 ? 12 : 8
    let hasRuns = runCount > 0
    var weightDone = 0
    var runDone = 0
    var carryWeight: UInt32 = 0
    var carryRun: UInt32 = 0
    var previousWeights = (0, 0)
    var previousRuns = (0, 0)
    while true {
      let balance = weightDone &- runDone
      let doWeights = weightDone < count && (!hasRuns || balance < 8)
      let doRuns = hasRuns && runDone < runCount && balance >= 0
      let firstWeight = weightDone
      let firstRun = runDone
      let plane = doWeights && !isRaw ? reader.read(12) : 0
      if doRuns {
        var unary = reader.read(runSlots)
        for _ in 0..<runSlots {
          if unary & 1 != 0 {
            carryRun &+= 1
          } else {
            if runDone < runCount {
              runs[runDone] = carryRun
              runDone &+= 1
            }
            carryRun = 0
          }
          unary &>>= 1
        }
      }
      if doWeights {
        if isRaw {
          for i in 0..<slots { codes[weightDone &+ i] = 0 }
          weightDone = min(weightDone &+ slots, count)
        } else {
          var second = reader.read(plane.nonzeroBitCount)
          var first = plane
          var at = weightDone
          // Four digits at a time. A step completes at most four, and the buffer has slack for them.
          for _ in 0..<3 {
            let digits = first & 15
            let step = steps[Int(digits | (second & 15) &<< 4)]
            first &>>= 4
            second &>>= UInt32(truncatingIfNeeded: digits.nonzeroBitCount)
            UnsafeMutableRawPointer(base + at).storeBytes(
              of: (step.codes &+ UInt64(carryWeight)).littleEndian, as: UInt64.self)
            at &+= Int(step.done)
            // Too large a quotient stays too large for any code without spilling over its lane.
            let carry = UInt32(step.carry) &+ (step.done == 0 ? carryWeight : 0)
            carryWeight = min(carry, 0x7FFF)
          }
          weightDone = min(at, count)
        }
      }
      if width > 0 {
        // Remainders of up to 32 bits together; a quotient too large for any code stays too large.
        let shift = UInt32(isRaw ? 0 : width)
        let mask = (UInt32(1) &<< UInt32(width)) &- 1
        let perRead = width <= 2 ? 12 : width <= 5 ? 6 : 3
        var i = previousWeights.0
        while i < previousWeights.1 {
          let end = min(previousWeights.1, i &+ perRead)
          var bits = reader.read((end &- i) &* width)
          while i < end {
            let code = UInt32(base[i]) &<< shift | bits & mask
            base[i] = UInt16(truncatingIfNeeded: min(code, 0xFFFF))
            bits &>>= UInt32(width)
            i &+= 1
          }
        }
      }
      if runDivisor > 0 {
        for i in previousRuns.0..<previousRuns.1 {
          runs[i] = runs[i] &<< UInt32(runDivisor) | reader.read(runDivisor)
        }
      }
      if reader.isPastEnd { return false }
      previousWeights = (firstWeight, weightDone)
      previousRuns = (firstRun, runDone)
      if !doWeights && !doRuns { return true }
    }
  }

  private mutating func emit(count: Int, leadingRun: Bool) throws(WeightStreamError) {
    var at = written
    let room = out.count
    var badCode: Int?
    var overflow = false
    let limit = codeLimit
    let useRuns = hasRuns
    let out = out
    codes.withUnsafeBufferPointer { codes in
      runs.withUnsafeBufferPointer { runs in
        weightOf.withUnsafeBufferPointer { weightOf in
          func zeros(_ run: UInt32) -> Bool {
            guard Int(run) <= room &- at else { return false }
            for i in at..<at &+ Int(run) { out[i] = 0 }
            at &+= Int(run)
            return true
          }
          var run = 0
          if useRuns && leadingRun {
            guard zeros(runs[0]) else {
              overflow = true
              return
            }
            run = 1
          }
          if !useRuns {
            var largest: UInt16 = 0
            for i in 0..<count { largest = max(largest, codes[i]) }
            guard Int(largest) < limit, count <= room &- at else {
              badCode = Int(largest) < limit ? nil : Int(largest)
              overflow = badCode == nil
              return
            }
            for i in 0..<count { out[at &+ i] = weightOf[Int(codes[i])] }
            at &+= count
            return
          }
          for i in 0..<count {
            let code = Int(codes[i])
            guard code < limit else {
              badCode = code
              return
            }
            guard at < room else {
              overflow = true
              return
            }
            out[at] = weightOf[code]
            at &+= 1
            if useRuns {
              guard zeros(runs[run &+ i]) else {
                overflow = true
                return
              }
            }
          }
        }
      }
    }
    if let code = badCode { throw failure(.valueOutOfRange(code: code)) }
    if overflow { throw failure(.tooManyWeights(limit: room)) }
    written = at
  }
}

/// Four digits of two bit planes of unary numbers, decoded: a digit 2 goes on (unless quotients are
/// truncated, when it ends too), 0 and 1 end a number.
private struct UnaryStep {
  /// The numbers that end here, 16 bits each, the first without what came before.
  var codes: UInt64 = 0
  /// How many end.
  var done: UInt8 = 0
  /// What the unfinished one has.
  var carry: UInt8 = 0

  /// By the digits of the first plane (bits 0–3) and the next bits of the second (4–7).
  static let complete = table(isTruncated: false)
  /// The same for truncated quotients.
  static let truncated = table(isTruncated: true)

  private static func table(isTruncated: Bool) -> [UnaryStep] {
    (0..<256).map { index in
      var step = UnaryStep()
      var second = index >> 4
      for digit in 0..<4 {
        let bit = index >> digit & 1
        let value = bit + (bit & second)
        if bit == 1 { second >>= 1 }
        step.carry += UInt8(value)
        if value < 2 || isTruncated {
          step.codes |= UInt64(step.carry) << UInt64(16 * Int(step.done))
          step.done += 1
          step.carry = 0
        }
      }
      return step
    }
  }
}
