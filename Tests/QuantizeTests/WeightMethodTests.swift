import Foundation
import Importers
import TestKit
import Testing

@testable import Quantize

/// What each method for weights is worth on a real model.
@Suite(
  .enabled(
    if: SharedData.exists("models/stories260K/stories260K.bin")
      && SharedData.exists("data/tinystories_val.txt"), "the shared model or text is absent"))
struct WeightMethodTests {
  /// A model with what calibration saw of it.
  struct Watched: Sendable {
    var model: ImportedModel
    var calibration: Calibration
    var curvature: Curvature

    static let shared = Result {
      let model = try ModelImporter.load(
        SharedData.url("models/stories260K/stories260K.bin").path)
      let text = try StoriesTests.windows(model, 100..<116)
      return Watched(
        model: model, calibration: try Calibrator(model.graph).observe(text),
        curvature: try Quantizer.curvature(model.graph, text, limit: 8192))
    }

    /// Divergence from the float model of its weights rounded by a method, and their bits.
    func judge(
      _ method: WeightMethod, text: [[Int32]] = []
    ) throws -> (divergence: Double, report: WeightReport) {
      let made = try Quantizer.roundedFloat(
        RoundingBasis(
          model.graph, recipe: .w8a16, calibration: calibration, curvature: curvature,
          method: method, text: text))
      var float = try FloatLogitModel(model.graph)
      var rounded = try FloatLogitModel(made.graph)
      let result = try Evaluation.compare(
        reference: &float, model: &rounded, try StoriesTests.windows(model, 0..<8))
      return (result.meanDivergence, made.report)
    }
  }

  /// GPTQ against plain rounding on the same 15 levels.
  @Test func feedbackGains() throws {
    let watched = try Watched.shared.get()
    var method = WeightMethod.fourBit
    method.columnPower = 0
    let fed = try watched.judge(method)
    method.usesFeedback = false
    let plain = try watched.judge(method)
    #expect(fed.divergence < 0.85 * plain.divergence)
  }

  /// Sixteen values chosen for each matrix against fifteen even ones: both take four bits in a format of fixed
  /// width.
  @Test func codebookGains() throws {
    let watched = try Watched.shared.get()
    let even = try watched.judge(.fourBit)
    let chosen = try watched.judge(.codebook)
    #expect(chosen.divergence < 0.8 * even.divergence)
    #expect(chosen.report.bitsPerWeight < 4.05)
  }

  /// On three levels, feedback against rounding to the nearest, and what compensation and tuned steps
  /// add, at about 1.6 bits.
  @Test func ternaryGains() throws {
    let watched = try Watched.shared.get()
    var method = WeightMethod(grid: .levels(limit: 1))
    method.columnPower = 0
    let fed = try watched.judge(method)
    method.usesFeedback = false
    method.feedsRows = false
    let plain = try watched.judge(method)
    var preset = WeightMethod.ternary
    // A third of what the preset takes, for the sake of time.
    (preset.compensationSteps, preset.tuningSteps) = (32, 16)
    let moved = try watched.judge(preset, text: try StoriesTests.windows(watched.model, 120..<136))
    #expect(fed.divergence < 0.85 * plain.divergence)
    #expect(moved.divergence < 0.75 * fed.divergence)
    #expect(moved.report.bitsPerWeight < 1.7)
  }

  /// Columns scaled by a part of what they cost against columns as they are, on 15 levels.
  @Test func columnScalingGains() throws {
    let watched = try Watched.shared.get()
    var method = WeightMethod.fourBit
    // What rows hand on to each other evens out costs, too, and leaves columns less to gain.
    method.feedsRows = false
    let scaled = try watched.judge(method)
    method.columnPower = 0
    let plain = try watched.judge(method)
    #expect(scaled.divergence < 0.98 * plain.divergence)
  }

  /// Steps by sensitivity and weighed bits against plain GPTQ of 23 levels, at equal bits: at
  /// least a fifth less divergence.
  @Test func streamRoundingGains() throws {
    let watched = try Watched.shared.get()
    var method = WeightMethod(grid: .levels(limit: 11))
    method.columnPower = 0
    method.feedsRows = false
    method.ordersByActivity = false
    let plain = try watched.judge(method)
    let stream = try watched.judge(.stream(bitsPerWeight: plain.report.bitsPerWeight))
    #expect(stream.report.bitsPerWeight < 1.01 * plain.report.bitsPerWeight)
    #expect(stream.divergence < 0.8 * plain.divergence)
  }

  /// What rows hand on to later rows lowers the divergence at equal bits.
  @Test func rowFeedbackGains() throws {
    let watched = try Watched.shared.get()
    var method = WeightMethod.fourBit
    let both = try watched.judge(method)
    method.feedsRows = false
    let columns = try watched.judge(method)
    #expect(both.divergence < 0.92 * columns.divergence)
  }

  /// Steps that follow the gradient of the divergence after rounding, at the same bits.
  @Test func tunedScalesGain() throws {
    let watched = try Watched.shared.get()
    var method = WeightMethod.stream(bitsPerWeight: 3)
    let rounded = try watched.judge(method)
    method.tuningSteps = 24
    let tuned = try watched.judge(method, text: try StoriesTests.windows(watched.model, 120..<136))
    #expect(tuned.report.bitsPerWeight == rounded.report.bitsPerWeight)
    #expect(tuned.divergence < 0.96 * rounded.divergence)
  }

  /// Layers not rounded yet that make good what rounding the others did, at the same bits; other text
  /// is what counts.
  @Test func compensationGains() throws {
    let watched = try Watched.shared.get()
    var method = WeightMethod.stream(bitsPerWeight: 3)
    let rounded = try watched.judge(method)
    method.compensationSteps = try #require(
      QuantizationRecipe(name: "b3a16")?.weights
    ).compensationSteps
    let text = try StoriesTests.windows(watched.model, 120..<152)
    let compensated = try watched.judge(method, text: text)
    #expect(compensated.report.bitsPerWeight <= 3)
    #expect(compensated.divergence < 0.85 * rounded.divergence)
  }

  /// At the size of a hand preset (15 levels, or 8 bits to nearest), the solver's choice diverges no
  /// more than the preset.
  @Test(arguments: [false, true])
  func theSolverIsNeverWorseThanAPreset(_ isEightBit: Bool) throws {
    let watched = try Watched.shared.get()
    var preset = isEightBit ? WeightMethod.eightBit : .fourBit
    if isEightBit {
      preset.usesFeedback = false
      preset.feedsRows = false
      preset.columnPower = 0
    }
    let hand = try watched.judge(preset)
    let bits = min(hand.report.bitsPerWeight, 8)
    let found = try watched.judge(.stream(bitsPerWeight: bits))
    #expect(found.report.bitsPerWeight < 1.01 * bits)
    #expect(found.divergence <= hand.divergence)
  }

  /// The expected divergence is of the size of what is measured.
  @Test(arguments: [3.5, 4.5, 6])
  func expectationHolds(_ bits: Double) throws {
    let watched = try Watched.shared.get()
    let found = try watched.judge(.stream(bitsPerWeight: bits))
    #expect(found.report.bitsPerWeight <= bits)
    #expect(found.report.bitsPerWeight > 0.99 * bits)
    #expect(found.report.expectedDivergence > 0.5 * found.divergence)
    #expect(found.report.expectedDivergence < 2 * found.divergence)
  }

  /// Weights and 16-bit activations at 4.5 bits a weight in the stream.
  @Test func fourAndAHalfBitsStayWithinTheirBar() throws {
    let watched = try Watched.shared.get()
    let graph = try Quantizer.quantize(
      watched.model.graph, recipe: .w8a16, calibration: watched.calibration,
      curvature: watched.curvature, method: .stream(bitsPerWeight: 4.5)
    ).graph
    var float = try FloatLogitModel(watched.model.graph)
    var integer = try IntegerLogitModel(graph)
    let result = try Evaluation.compare(
      reference: &float, model: &integer, try StoriesTests.windows(watched.model, 0..<8))
    #expect(result.meanDivergence < 0.035)
    #expect(result.perplexityRise < 0.035)
  }

  @Test func roundingRepeats() throws {
    let watched = try Watched.shared.get()
    func bytes() throws -> [[UInt8]] {
      try Quantizer.quantize(
        watched.model.graph, recipe: .w8a16, calibration: watched.calibration,
        curvature: watched.curvature, method: .stream(bitsPerWeight: 4)
      ).graph.constants.compactMap { $0.data?.bytes.withBytes { Array($0) } }
    }
    #expect(try bytes() == bytes())
  }
}
