import Quantize

/// Finds how many bits a weight a wanted rate of tokens leaves room for.
///
/// Time is all but straight in bits where memory is the limit, and flat where the decoder or the
/// multipliers are: a line through what was tried says what to try next.
struct RateSearch {
  /// Tokens a second that are wanted.
  let rate: Double
  /// What was tried, in order.
  private(set) var tried: [(bits: Double, seconds: Double)] = []

  /// Attempts at most; each one rounds and encodes the whole model.
  private static let most = 6

  /// A search that has tried nothing; 8-bit weights should be the first attempt.
  init(rate: Double) { self.rate = rate }

  /// The index of the attempt with the most bits that is fast enough.
  var best: Int? {
    tried.indices.filter { isFast(tried[$0].seconds) }.max { tried[$0].bits < tried[$1].bits }
  }

  /// Takes in an attempt.
  mutating func note(bits: Double, seconds: Double) { tried.append((bits, seconds)) }

  /// Whether a token that takes so long is fast enough.
  func isFast(_ seconds: Double) -> Bool { seconds * rate <= 1 }

  /// The bits a weight to try next; nil when another attempt would gain nothing.
  var next: Double? {
    let sorted = tried.sorted { $0.bits < $1.bits }
    guard tried.count < Self.most, let lowest = sorted.first, let highest = sorted.last,
      !isFast(highest.seconds)
    else { return nil }
    guard tried.count > 1 else { return min(4, highest.bits) }
    let below = sorted.last { isFast($0.seconds) }
    let above = sorted.first { !isFast($0.seconds) } ?? highest
    let from = below ?? lowest
    let to = above.bits > from.bits ? above : highest
    let slope = (to.seconds - from.seconds) / max(to.bits - from.bits, 1e-6)
    guard slope > 0 else { return nil }
    // Aimed half a percent inside.
    let aim = from.bits + (0.995 / rate - from.seconds) / slope
    let least = WeightMethod.streamBits.lowerBound
    if aim < least, lowest.bits < least + 0.3 { return nil }
    let goal = min(max(aim, least), highest.bits)
    return tried.contains { abs($0.bits - goal) < 0.03 } ? nil : goal
  }
}
