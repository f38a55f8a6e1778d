import Support
import Testing

@testable import Analysis

/// Records of windows with independent divergences and losses.
private func records(windows: Int, tokens: Int, seed: UInt64, scale: Float = 1) -> [WindowRecord] {
  var random = SplitMix64(seed: seed)
  return (0..<windows).map { index in
    var record = WindowRecord(index: index)
    for _ in 0..<tokens {
      let loss = Float(2 + random.normal())
      record.referenceLosses.append(loss)
      record.losses.append(loss + 0.01 * scale * Float(random.normal()))
      record.divergences.append(scale * Float(random.uniform()) * 0.01)
      record.agreements.append(random.uniform() < 0.9)
    }
    record.tokensRun = tokens
    return record
  }
}

@Test func figuresAreTheSumsTheyClaim() throws {
  var record = WindowRecord(index: 0)
  record.losses = [1, 2, 3]
  record.referenceLosses = [1, 1, 1]
  record.divergences = [0.3, 0.1, 0.2]
  record.agreements = [true, false, true]
  record.tokensRun = 4
  record.npuCycles = 400
  record.cpuCycles = 40
  let figures = try #require(TextFigures([record]))
  let comparison = try #require(figures.comparison)
  #expect(abs(figures.perplexity.value - 7.389_056) < 1e-5)
  #expect(abs(comparison.perplexity.value - 2.718_282) < 1e-5)
  #expect(abs(comparison.rise.value - 1.718_282) < 1e-5)
  #expect(abs(comparison.meanDivergence.value - 0.2) < 1e-7)
  #expect(abs(comparison.medianDivergence.value - 0.2) < 1e-7)
  #expect(abs(comparison.divergence999.value - 0.3) < 1e-7)
  #expect(abs(comparison.sameTop1.value - 2.0 / 3) < 1e-12)
  #expect(figures.npuCyclesPerToken == 100)
  #expect(figures.cpuCyclesPerToken == 10)
  // One block tells nothing about the spread.
  #expect(figures.perplexity.error == nil)
  #expect(TextFigures([WindowRecord(index: 0)]) == nil)
}

/// For independent tokens the block bootstrap must give the textbook error of a mean.
@Test func errorsOfIndependentTokensAreThoseOfTheMean() throws {
  let all = records(windows: 40, tokens: 256, seed: 5)
  let figures = try #require(TextFigures(all))
  let comparison = try #require(figures.comparison)
  let tokens = all.flatMap(\.divergences).map(Double.init)
  let mean = tokens.reduce(0, +) / Double(tokens.count)
  let deviation =
    (tokens.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(tokens.count - 1)).squareRoot()
  let expected = deviation / Double(tokens.count).squareRoot()
  let found = try #require(comparison.meanDivergence.error)
  // 160 blocks and 1000 draws know an error to about a tenth; a third is three deviations.
  #expect(abs(found / expected - 1) < 0.3)
  let share = try #require(comparison.sameTop1.error)
  let textbook = (0.9 * 0.1 / Double(tokens.count)).squareRoot()
  #expect(abs(share / textbook - 1) < 0.3)
}

/// Tokens that repeat within a window carry no new information, and the error must not shrink.
@Test func errorsSeeThatNeighboursAreAlike() throws {
  var random = SplitMix64(seed: 9)
  let all = (0..<64).map { index in
    var record = WindowRecord(index: index)
    let loss = Float(2 + random.normal())
    record.losses = [Float](repeating: loss, count: 64)
    return record
  }
  let figures = try #require(TextFigures(all))
  let perplexity = figures.perplexity.value
  let found = try #require(figures.perplexity.error)
  // The relative error of exp(mean) is the mean's: 1 over the root of 64 windows, not of 4096 tokens.
  #expect(abs(found / perplexity * 8 - 1) < 0.35)
}

@Test func errorsAreTheSameEveryTime() throws {
  let all = records(windows: 7, tokens: 100, seed: 3)
  #expect(TextFigures(all) == TextFigures(all))
  let blocks = BlockBootstrap(windows: [130, 0, 64, 1]).blocks
  #expect(blocks.allSatisfy { $0.count <= BlockBootstrap.blockTokens && !$0.isEmpty })
  #expect(blocks.flatMap(Array.init) == Array(0..<195))
}
