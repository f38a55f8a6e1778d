/// A part of a stream with one palette: its codes, zero runs and slices.
struct StreamSection {
  /// Codes up to `end` in one slice, or more when there are too many for a slice.
  struct Slice: Hashable {
    /// The end in coded weights.
    var end: Int
    var coding: CodeConfiguration
    /// Divisor exponent of zero runs; ignored without.
    var runDivisor: Int
  }

  /// The most coded weights of a slice; Arm's encoders stop one short of what the field allows.
  static let sliceLimit = 32767

  var palette: [Int]
  var directOffset: Int
  var paletteBits: Int
  var rawWidth: Int?
  var hasRuns: Bool
  var codes: [UInt16] = []
  var runs: [UInt32] = []
  var slices: [Slice] = []
  /// Weights that the section stands for, zeros of runs included.
  private(set) var weightCount = 0

  /// A section of `weights` with a palette; `codeOf` gives the code of each folded value.
  init(
    _ weights: UnsafeBufferPointer<Int16>, palette: [Int], directOffset: Int, paletteBits: Int,
    rawWidth: Int?, hasRuns: Bool, codeOf: [UInt16]
  ) {
    self.palette = palette
    self.directOffset = directOffset
    self.paletteBits = paletteBits
    self.rawWidth = rawWidth
    self.hasRuns = hasRuns
    weightCount = weights.count
    codeOf.withUnsafeBufferPointer { codeOf in
      var run: UInt32 = 0
      var runs: [UInt32] = []
      codes = [UInt16](unsafeUninitializedCapacity: max(1, weights.count)) { out, count in
        for weight in weights {
          if hasRuns && weight == 0 {
            run &+= 1
          } else {
            out[count] = codeOf[StandardWeightEncoder.fold(weight)]
            count &+= 1
            if hasRuns {
              runs.append(run)
              run = 0
            }
          }
        }
        if count == 0 {
          // Only zeros: the first of them is coded (section 3.2).
          out[0] = codeOf[0]
          count = 1
          runs = [0]
          run = run &- 1
        }
      }
      if hasRuns { runs.append(run) }
      self.runs = runs
    }
  }

  /// A section of `weights` as our own plan wants it, in one slice.
  init(_ weights: UnsafeBufferPointer<Int16>, plan: StreamPlan) {
    let raw: Int? = plan.isRaw ? plan.divisor : plan.rawWidth
    self.init(
      weights, palette: plan.palette, directOffset: plan.directOffset,
      paletteBits: plan.paletteBits, rawWidth: raw, hasRuns: plan.runDivisor != nil,
      codeOf: plan.codeOf)
    slices = [
      Slice(
        end: codes.count,
        coding: CodeConfiguration(
          divisor: plan.divisor, isTruncated: plan.isTruncated, isRaw: plan.isRaw),
        runDivisor: plan.runDivisor ?? 0)
    ]
  }

  /// Bits of headers, codes and runs; slots that stay empty at the end of slices come on top.
  var leastBits: Int {
    var bits = 13 + palette.count * paletteBits
    var start = 0
    for slice in slices {
      bits += 23 * max(1, (slice.end - start + Self.sliceLimit - 1) / Self.sliceLimit)
      let divisor = UInt16(slice.coding.divisor)
      let fixed = slice.coding.isRaw ? (rawWidth ?? 16) : slice.coding.divisor + 1
      var quotients = 0
      codes.withUnsafeBufferPointer { codes in
        if slice.coding.isTruncated {
          for i in start..<slice.end { quotients &+= Int(min(codes[i] >> divisor, 1)) }
        } else if !slice.coding.isRaw {
          for i in start..<slice.end { quotients &+= Int(codes[i] >> divisor) }
        }
      }
      bits += quotients + fixed * (slice.end - start)
      if hasRuns {
        let range = start == 0 ? 0...slice.end : start + 1...slice.end
        for i in range {
          bits &+= Int(runs[i] >> UInt32(slice.runDivisor)) &+ 1 &+ slice.runDivisor
        }
      }
      start = slice.end
    }
    return bits
  }

  /// Appends the section to a stream.
  func write(to writer: inout BitWriter) {
    codes.withUnsafeBufferPointer { codes in
      runs.withUnsafeBufferPointer { runs in
        var start = 0
        for slice in slices {
          while start < slice.end {
            let end = min(start + Self.sliceLimit, slice.end)
            let isFirst = start == 0
            writeHeader(slice, count: end - start, isFirst: isFirst, &writer)
            let part = UnsafeBufferPointer(rebasing: codes[start..<end])
            let partRuns =
              hasRuns
              ? UnsafeBufferPointer(rebasing: runs[(isFirst ? 0 : start + 1)...end])
              : UnsafeBufferPointer(rebasing: runs[0..<0])
            SliceWriter(
              slice.coding, rawWidth: rawWidth ?? 0, runDivisor: hasRuns ? slice.runDivisor : nil
            ).write(part, partRuns, &writer)
            start = end
          }
        }
      }
    }
  }

  /// Slice header, section 2.2.
  private func writeHeader(
    _ slice: Slice, count: Int, isFirst: Bool, _ writer: inout BitWriter
  ) {
    writer.write(UInt32(hasRuns ? slice.runDivisor : 6), 3)
    writer.write(UInt32(count - 1), 15)
    writer.write(UInt32(slice.coding.divisor), 3)
    writer.write(slice.coding.isTruncated ? 1 : 0, 1)
    writer.write(isFirst ? 1 : 0, 1)
    guard isFirst else { return }
    writer.write(UInt32(directOffset), 5)
    writer.write(UInt32(palette.isEmpty ? 0 : palette.count - 1), 5)
    writer.write(UInt32(paletteBits - 2), 3)
    for value in palette { writer.write(UInt32(value), paletteBits) }
  }
}
