import Foundation
import GraphIR
import Importers
import Support
import TestKit
import Testing

@testable import Quantize

/// Where 8-bit activations end, and how far their range moves into weights.
@Suite struct ActivationRangeTests {
  /// Channels of normal numbers, some far out, as they are seen at a site.
  static func seen(_ rows: [[Float]]) -> SiteStatistics {
    let channels = rows[0].count
    var seen = SiteStatistics(
      channelMax: (0..<channels).map { i in rows.map { abs($0[i]) }.max() ?? 0 },
      channelSquares: (0..<channels).map { i in rows.reduce(0) { $0 + Double($1[i] * $1[i]) } },
      rows: rows.count)
    for row in rows {
      row.withUnsafeBufferPointer {
        if seen.histogram == nil {
          seen.histogram = MagnitudeHistogram(channels: channels)
        }
        seen.histogram?.add($0)
      }
    }
    return seen
  }

  /// Rounds numbers to a limit's 8-bit steps and adds up what that costs.
  static func error(_ rows: [[Float]], limit: Float, costs: [Float]) -> Double {
    let step = limit / 127
    return rows.reduce(0) { sum, row in
      row.enumerated().reduce(sum) {
        let rounded = min(max(($1.element / step).rounded(), -127), 127) * step
        let error = $1.element - rounded
        return $0 + Double(error * error * costs[$1.offset])
      }
    }
  }

  /// What the histogram recommends errs about as little as the best limit by the numbers themselves.
  @Test(arguments: 0..<4)
  func theSearchFindsWhatTheNumbersSay(_ index: Int) throws {
    var random = SplitMix64(seed: UInt64(index) + 40)
    let sizes: [Float] = [1, 0.2, 3, 0.01]
    let rows = (0..<2000).map { row in
      sizes.map { size -> Float in
        let number = Float(random.normal()) * size
        // Heavy tails in half of the cases.
        return index % 2 == 0 ? number : number * number * number
      }
    }
    let weights: [Float] = index < 2 ? [1, 1, 1, 1] : [2, 30, 0.1, 500]
    let factors: [Float] = index < 2 ? [1, 1, 1, 1] : [0.5, 4, 0.25, 32]
    let search = try #require(RangeSearch(Self.seen(rows), readers: [weights]))
    let found = search.limit(factors)
    let scaled = rows.map { zip($0, factors).map { $0 * $1 } }
    let costs = zip(weights, factors).map { ($0 / $1) * ($0 / $1) }
    let top = scaled.joined().reduce(0) { max($0, abs($1)) }
    let least = (0..<200).map {
      Self.error(scaled, limit: top * exp2(-Float($0) / 50), costs: costs)
    }.min()
    #expect(Self.error(scaled, limit: found, costs: costs) < 1.1 * (least ?? 0))
    #expect(found <= top)
  }

  /// One number far out among thousands is worth less than a finer step for all.
  @Test func aLonelyNumberIsClipped() throws {
    let rows: [[Float]] = (0..<100_000).map { [Float($0) / 100_000] } + [[1.5]]
    let search = try #require(RangeSearch(Self.seen(rows), readers: [[1]]))
    #expect(abs(search.limit([1]) - 1.03) < 0.1)
  }

  /// Nothing seen, nothing but zeros, and magnitudes at both ends of what floats can be.
  @Test func extremesAreNoTrouble() throws {
    #expect(
      RangeSearch(SiteStatistics(channelMax: [1], channelSquares: [1], rows: 0), readers: [[1]])
        == nil)
    #expect(RangeSearch(Self.seen([[0, 0]]), readers: [[1, 1]])?.limit([1, 1]) == 0)
    for size: Float in [1e-38, 1e-20, 1e20, 3e38] {
      let search = try #require(RangeSearch(Self.seen([[size, size / 2]]), readers: [[1, 1]]))
      let limit = search.limit([1, 1])
      #expect(limit > 0 && limit <= size)
    }
  }

  /// 16-bit activations are left as they are; 8-bit ones get what diverges least.
  @Test func recipesAskForWhatTheyNeed() throws {
    let model = RandomLlama()
    let text = QuantizerStructureTests.sequences(model, count: 2)
    let wide = try Quantizer.calibrate(model.graph(), for: .w8a16, on: text)
    #expect(wide.ranges == ActivationRanges())
    let narrow = try Quantizer.calibrate(model.graph(), for: .w8a8, on: text)
    func divergence(_ ranges: ActivationRanges) throws -> Double {
      var calibration = narrow
      calibration.ranges = ranges
      let made = try Quantizer.quantize(model.graph(), recipe: .w8a8, calibration: calibration)
      var float = try FloatLogitModel(model.graph())
      var integer = try IntegerLogitModel(made)
      return try Evaluation.compare(reference: &float, model: &integer, text).meanDivergence
    }
    var clipped = ActivationRanges()
    clipped.clipsProducts = true
    let chosen = try ActivationRanges.chosen(
      for: model.graph(), narrow, .w8a8, judgedBy: text)
    let found = try divergence(chosen)
    // What gains little is left alone.
    #expect(try found <= divergence(ActivationRanges()))
    #expect(try 0.95 * found <= divergence(clipped))
  }

  /// Chosen ranges against the largest values seen and half the way, on a real model.
  @Test(
    .enabled(
      if: SharedData.exists("models/stories260K/stories260K.bin")
        && SharedData.exists("data/tinystories_val.txt"), "the shared model or text is absent"))
  func chosenRangesGain() throws {
    let graph = try ModelImporter.load(SharedData.url("models/stories260K/stories260K.bin").path)
    let text = try StoriesTests.windows(graph, 100..<116)
    var calibration = try Quantizer.calibrate(graph.graph, for: .w8a8, on: text)
    func divergence() throws -> Double {
      let made = try Quantizer.quantize(graph.graph, recipe: .w8a8, calibration: calibration)
      var float = try FloatLogitModel(graph.graph)
      var integer = try IntegerLogitModel(made)
      return try Evaluation.compare(
        reference: &float, model: &integer, StoriesTests.windows(graph, 0..<8)
      ).meanDivergence
    }
    let chosen = try divergence()
    calibration.ranges = ActivationRanges()
    #expect(try chosen < 0.85 * divergence())
  }
}
