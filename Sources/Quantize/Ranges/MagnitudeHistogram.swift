/// How often the magnitudes of each channel of a value fell into each quarter of an octave.
///
/// It tells what any factors of the channels and any largest value would cost (``RangeSearch``), so text runs through
/// a model once.
public struct MagnitudeHistogram: Sendable {
  /// Quarters of octaves that are told apart, up to that of the largest number seen. What is smaller than all of
  /// them counts as nothing.
  static let bins = 64

  /// Occurrences, channel by channel.
  private(set) var counts: [UInt32]
  /// The leading bits of the magnitudes of the lowest bin: exponent and two bits of mantissa.
  private var lowest = Int.min / 2

  /// A histogram of nothing.
  init(channels: Int) { counts = [UInt32](repeating: 0, count: channels * Self.bins) }

  /// Counts rows of numbers.
  mutating func add(_ numbers: UnsafeBufferPointer<Float>) {
    let channels = counts.count / Self.bins
    let largest = numbers.reduce(Float(0)) { max($0, abs($1)) }
    raise(to: Int(largest.bitPattern >> 21) - Self.bins + 1)
    counts.withUnsafeMutableBufferPointer { counts in
      var channel = 0
      for number in numbers {
        let bin = Int(abs(number).bitPattern >> 21) - lowest
        if bin >= 0 { counts[channel * Self.bins + min(bin, Self.bins - 1)] &+= 1 }
        channel = channel + 1 == channels ? 0 : channel + 1
      }
    }
  }

  /// Moves the bins up, for larger numbers than before.
  private mutating func raise(to bits: Int) {
    guard bits > lowest else { return }
    let shift = min(bits - lowest, Self.bins)
    lowest = bits
    for channel in stride(from: 0, to: counts.count, by: Self.bins) {
      for bin in channel..<channel + Self.bins {
        counts[bin] = bin + shift < channel + Self.bins ? counts[bin + shift] : 0
      }
    }
  }

  /// The magnitude that stands for a bin: its middle.
  func magnitude(_ bin: Int) -> Float {
    Float(bitPattern: UInt32(min(max(lowest + bin, 0), 0x3fb)) << 21 | 1 << 20)
  }
}
