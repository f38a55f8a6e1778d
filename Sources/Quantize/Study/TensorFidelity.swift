import Foundation

/// How well one tensor's integers stand for its reals.
public struct TensorFidelity: Sendable, Equatable {
  /// What kind of tensor it is.
  public enum Kind: String, Sendable, Codable, CaseIterable {
    case weight, embedding, activation
    case kvCache = "kv_cache"
  }

  /// The model's tensor or operation.
  public var name: String
  /// What it is.
  public var kind: Kind
  /// Signal over the noise of its own rounding, in decibels; infinite without noise.
  public var sqnr: Double
  /// The square of the median magnitude over the same noise: far below ``sqnr`` where a few numbers tower above
  /// the others and set the step for all. Of normal numbers it is 3.4 dB below.
  public var typicalSQNR: Double
  /// Signal over the difference of the integer and the float model here, with all errors from before, in
  /// decibels; nil where it is not known.
  public var accumulatedSQNR: Double?
  /// The share of numbers beyond what the type can hold.
  public var clippedShare: Double
  /// The largest magnitude seen, and the largest that can be held.
  public var largest: Double
  public var limit: Double
  /// Numbers seen.
  public var count: Int
}

/// Sums over a tensor's numbers.
struct FidelitySums {
  private var signal = 0.0
  private var noise = 0.0
  private var accumulated = 0.0
  private var clipped = 0
  private var largest: Float = 0
  private var count = 0
  /// How many numbers have a magnitude of each eighth of an octave; zeros are in the first.
  private var magnitudes = [Int](repeating: 0, count: 1 << 11)

  /// Takes in a number, what its rounding makes of it and whether it was clipped.
  @inline(__always)
  mutating func add(_ value: Float, rounded: Float, isClipped: Bool) {
    signal += Double(value) * Double(value)
    let difference = Double(value) - Double(rounded)
    noise += difference * difference
    clipped += isClipped ? 1 : 0
    largest = max(largest, abs(value))
    magnitudes[Int(value.bitPattern >> 20 & 0x7FF)] += 1
    count += 1
  }

  /// Takes in the difference to what the integer model has here.
  @inline(__always)
  mutating func addAccumulated(_ difference: Double) { accumulated += difference * difference }

  /// The median magnitude of the numbers that are not zero, within an eighth of an octave.
  private var median: Double {
    var left = magnitudes.dropFirst().reduce(0, +) / 2
    for (index, number) in magnitudes.enumerated().dropFirst() {
      left -= number
      if left < 0 { return Double(Float(bitPattern: UInt32(index) << 20 | 1 << 19)) }
    }
    return 0
  }

  /// The result.
  func fidelity(
    _ name: String, _ kind: TensorFidelity.Kind, limit: Double, isAccumulated: Bool
  ) -> TensorFidelity {
    func decibels(_ signal: Double, _ noise: Double) -> Double {
      noise > 0 ? 10 * log10(max(signal, 1e-300) / noise) : .infinity
    }
    return TensorFidelity(
      name: name, kind: kind, sqnr: decibels(signal, noise),
      typicalSQNR: decibels(median * median * Double(count), noise),
      accumulatedSQNR: isAccumulated ? decibels(signal, accumulated) : nil,
      clippedShare: Double(clipped) / Double(max(count, 1)), largest: Double(largest),
      limit: limit, count: count)
  }
}
