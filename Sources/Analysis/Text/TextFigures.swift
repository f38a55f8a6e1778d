import Foundation
import Support

/// What an evaluation on text found.
public struct TextFigures: Sendable, Equatable {
  /// Distance to a reference model.
  public struct Comparison: Sendable, Equatable {
    /// The reference's perplexity.
    public var perplexity: Estimate
    /// The relative rise of the perplexity over the reference's, on the same tokens.
    public var rise: Estimate
    /// The mean, the median and the 99.9 % quantile of the Kullback–Leibler divergence, in nats.
    public var meanDivergence: Estimate
    public var medianDivergence: Estimate
    public var divergence999: Estimate
    /// The share of predictions with the same most likely token.
    public var sameTop1: Estimate
  }

  /// Predicted tokens.
  public var tokens: Int
  /// Windows they stand in.
  public var windows: Int
  /// `exp` of the mean negative log likelihood.
  public var perplexity: Estimate
  /// Distance to the reference, where there was one.
  public var comparison: Comparison?
  /// NPU and CPU cycles of a token, where a compiled program ran.
  public var npuCyclesPerToken: Double?
  public var cpuCyclesPerToken: Double?
  /// CRC-32 over the windows' logits.
  public var checksum: UInt32

  /// The figures of some records; nil when they hold no token.
  public init?(_ records: [WindowRecord]) {
    let counts = records.map(\.losses.count)
    let count = counts.reduce(0, +)
    guard count > 0 else { return nil }
    tokens = count
    windows = records.count
    let bootstrap = BlockBootstrap(windows: counts)
    let samples = Samples(records, blocks: bootstrap.blocks)
    let all = [Int](repeating: 1, count: bootstrap.blocks.count)
    let values = samples.figures(all)
    let errors = bootstrap.errors(of: samples.figures)
    func estimate(_ index: Int) -> Estimate { Estimate(values[index], error: errors?[index]) }
    perplexity = estimate(0)
    if samples.hasReference {
      comparison = Comparison(
        perplexity: estimate(1), rise: estimate(2), meanDivergence: estimate(3),
        medianDivergence: estimate(4), divergence999: estimate(5), sameTop1: estimate(6))
    }
    let run = records.reduce(0) { $0 + $1.tokensRun }
    let npu = records.reduce(0) { $0 + $1.npuCycles }
    if npu > 0, run > 0 {
      npuCyclesPerToken = Double(npu) / Double(run)
      cpuCyclesPerToken = Double(records.reduce(0) { $0 + $1.cpuCycles }) / Double(run)
    }
    var crc = CRC32()
    for record in records {
      withUnsafeBytes(of: record.checksum.littleEndian) { crc.update($0) }
    }
    checksum = crc.value
  }

  /// Sums over blocks, and tokens in order of divergence, so that a draw of blocks is evaluated fast.
  private struct Samples {
    let hasReference: Bool
    private var sizes: [Double] = []
    private var losses: [Double] = []
    private var referenceLosses: [Double] = []
    private var divergences: [Double] = []
    private var agreements: [Double] = []
    /// Divergences in ascending order and the block of each.
    private var sorted: [(divergence: Float, block: Int32)] = []

    init(_ records: [WindowRecord], blocks: [Range<Int>]) {
      let loss = records.flatMap(\.losses)
      let reference = records.flatMap(\.referenceLosses)
      let divergence = records.flatMap(\.divergences)
      let agreement = records.flatMap(\.agreements)
      hasReference =
        reference.count == loss.count && divergence.count == loss.count
        && agreement.count == loss.count
      for (index, block) in blocks.enumerated() {
        sizes.append(Double(block.count))
        losses.append(loss[block].reduce(0) { $0 + Double($1) })
        guard hasReference else { continue }
        referenceLosses.append(reference[block].reduce(0) { $0 + Double($1) })
        divergences.append(divergence[block].reduce(0) { $0 + Double($1) })
        agreements.append(agreement[block].reduce(0) { $0 + ($1 ? 1 : 0) })
        for token in block { sorted.append((divergence[token], Int32(index))) }
      }
      // Equal divergences stay in block order: sums do not depend on the sort's whims.
      sorted.sort {
        $0.divergence != $1.divergence ? $0.divergence < $1.divergence : $0.block < $1.block
      }
    }

    /// Perplexity; with a reference also its perplexity, the rise, mean, median and 99.9 % divergence
    /// and the share of agreements, for a draw of blocks.
    func figures(_ draws: [Int]) -> [Double] {
      var total = 0.0
      var sums = [0.0, 0.0, 0.0, 0.0]
      for (block, times) in draws.enumerated() where times > 0 {
        let weight = Double(times)
        total += weight * sizes[block]
        sums[0] += weight * losses[block]
        guard hasReference else { continue }
        sums[1] += weight * referenceLosses[block]
        sums[2] += weight * divergences[block]
        sums[3] += weight * agreements[block]
      }
      let perplexity = exp(sums[0] / total)
      guard hasReference else { return [perplexity] }
      let (median, tail) = quantiles(draws, total: Int(total))
      return [
        perplexity, exp(sums[1] / total), exp((sums[0] - sums[1]) / total) - 1, sums[2] / total,
        median, tail, sums[3] / total,
      ]
    }

    /// The divergences at half and at 99.9 % of the drawn tokens.
    private func quantiles(_ draws: [Int], total: Int) -> (Double, Double) {
      let (half, most) = (total / 2, min(total - 1, Int(Double(total) * 0.999)))
      var median: Double?
      var seen = 0
      for sample in sorted {
        seen += draws[Int(sample.block)]
        if median == nil, seen > half { median = Double(sample.divergence) }
        if seen > most { return (median ?? 0, Double(sample.divergence)) }
      }
      return (median ?? 0, Double(sorted.last?.divergence ?? 0))
    }
  }
}
