/// SHRAM (U55, U65) or LUT RAM (U85) as DMA and table look-ups see it.
struct InternalMemory {
  private(set) var bytes: [UInt8]
  private(set) var initialised: InitialisedMap

  init(count: Int) {
    bytes = [UInt8](repeating: 0, count: count)
    initialised = InitialisedMap(count: count, initialised: false)
  }

  /// Forgets what is known to be there: contents do not survive from job to job.
  mutating func invalidate() {
    initialised = InitialisedMap(count: bytes.count, initialised: false)
  }

  /// Forgets one range: an operation used it as a buffer.
  mutating func invalidate(_ range: Range<Int>) {
    initialised.clear(range)
  }

  /// Copies from memory; the range was checked.
  mutating func store(_ source: UnsafeRawPointer, _ range: Range<Int>) {
    bytes.withUnsafeMutableBytes { bytes in
      UnsafeMutableRawBufferPointer(rebasing: bytes[range]).copyMemory(
        from: UnsafeRawBufferPointer(start: source, count: range.count))
    }
    initialised.mark(range)
  }
}
