import Support

/// Standard errors of figures over text, by a block bootstrap.
///
/// Neighbouring tokens are not independent, so blocks of consecutive tokens are drawn instead of
/// tokens: a window of text, cut into parts of at most `blockTokens`. Each of `resamples` draws takes
/// as many blocks as there are, with replacement; the deviation of a figure over the draws is its
/// standard error. The seed is fixed, so equal records give equal errors.
struct BlockBootstrap {
  /// The most tokens of a block.
  static let blockTokens = 64
  /// How many times the blocks are drawn.
  static let resamples = 1000
  private static let seed: UInt64 = 20_240_229

  /// Token ranges of the blocks in the flat list of tokens.
  let blocks: [Range<Int>]

  /// The blocks of windows with the given numbers of tokens.
  init(windows: [Int]) {
    var blocks: [Range<Int>] = []
    var start = 0
    for count in windows {
      let parts = (count + Self.blockTokens - 1) / Self.blockTokens
      for part in 0..<parts {
        blocks.append(start + part * count / parts..<start + (part + 1) * count / parts)
      }
      start += count
    }
    self.blocks = blocks
  }

  /// The standard errors of figures that `evaluate` computes from how often each block was drawn; nil
  /// with fewer than two blocks.
  func errors(of evaluate: (_ draws: [Int]) -> [Double]) -> [Double]? {
    guard blocks.count > 1 else { return nil }
    var random = SplitMix64(seed: Self.seed)
    var sums: [Double] = []
    var squares: [Double] = []
    var shift: [Double] = []
    for round in 0..<Self.resamples {
      var draws = [Int](repeating: 0, count: blocks.count)
      for _ in blocks { draws[Int(random.next() % UInt64(blocks.count))] += 1 }
      let figures = evaluate(draws)
      if round == 0 {
        shift = figures
        sums = [Double](repeating: 0, count: figures.count)
        squares = sums
      }
      for (i, figure) in figures.enumerated() {
        let difference = figure - shift[i]
        sums[i] += difference
        squares[i] += difference * difference
      }
    }
    let n = Double(Self.resamples)
    return zip(sums, squares).map { sum, square in
      max(0, (square - sum * sum / n) / (n - 1)).squareRoot()
    }
  }
}
