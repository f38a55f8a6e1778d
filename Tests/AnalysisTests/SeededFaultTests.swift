import Foundation
import GraphIR
import Importers
import ProgramFormat
import Quantize
import Support
import TestKit
import Testing

@testable import Analysis

/// Every seeded fault in a random model is found by name, at its stage and not before.
@Test(arguments: SeededFault.allCases)
func bisectNamesSeededFaults(_ fault: SeededFault) throws {
  var random = SplitMix64(seed: 12)
  let tokens = (0..<24).map { _ in Int32(random.next() % 64) }
  let sound = try Quantizer.quantize(
    RandomLlama().graph(), recipe: .w8a16, calibrationTokens: [tokens])
  var faulty = sound
  let name = try fault.apply(to: &faulty)
  let result = try Bisection(
    try compiled(sound), try compiled(faulty), probe: Array(tokens.prefix(8)))
  let first = try #require(result.first)
  #expect(first.stage == fault.stage)
  #expect(first.name == name)
}

@Test func equalBuildsAreEqualWhateverTheirTarget() throws {
  var random = SplitMix64(seed: 12)
  let tokens = (0..<24).map { _ in Int32(random.next() % 64) }
  let graph = try Quantizer.quantize(
    RandomLlama().graph(), recipe: .w8a16, calibrationTokens: [tokens])
  let result = try Bisection(
    try compiled(graph), try compiled(graph, target: "corstone-300-u55-32"), probe: tokens)
  #expect(result.first == nil)
  for stage in result.stages { #expect(stage.compared > 0, "\(stage.stage)") }
}

/// Weights of a U85 are decoded as its micro-blocks and decoders order them, resident ones too.
@Test(arguments: ["alif-e8", "corstone-320", "alif-e7-hp"])
func differingWeightsAreNamedOnAnyNPU(_ target: String) throws {
  var random = SplitMix64(seed: 12)
  let tokens = (0..<24).map { _ in Int32(random.next() % 64) }
  var shape = RandomLlama()
  shape.dim = 48
  shape.hidden = 200
  let sound = try Quantizer.quantize(
    shape.graph(), recipe: .w8a16, calibrationTokens: [tokens])
  var faulty = sound
  let name = try SeededFault.swappedTensor.apply(to: &faulty)
  let result = try Bisection(
    try compiled(sound, target: target), try compiled(faulty, target: target), probe: tokens)
  #expect(result.first?.stage == .weights)
  #expect(result.first?.name == name)
}

/// A difference of the cache alone shows in the activations, at the step that writes it.
@Test func activationsAreComparedStepByStep() throws {
  var random = SplitMix64(seed: 12)
  let tokens = (0..<24).map { _ in Int32(random.next() % 64) }
  let sound = try Quantizer.quantize(
    RandomLlama().graph(), recipe: .w8a16, calibrationTokens: [tokens])
  var faulty = sound
  let decode = try #require(faulty.function("decode"))
  let write = try #require(decode.operations.first { $0.code == .kvWrite })
  // The multipliers are the last operand, whatever stands before them.
  guard case .constant(let id)? = write.operands.last else {
    Issue.record("the multipliers are not a constant")
    return
  }
  let count = faulty[id].type.shape.count
  let values = try #require(faulty[id].data?.integers(Int32.self, count: count))
  faulty[id].data = .init(int32: values.map { $0 / 2 })
  let result = try Bisection(try compiled(sound), try compiled(faulty), probe: tokens)
  // The operations that scale share the multiplier.
  #expect(result.first?.stage == .registers)
  #expect(result.first?.name.hasPrefix(write.provenance.source) == true)
  let activations = try #require(result.stages.last)
  #expect(activations.findings.first?.name.hasPrefix(write.provenance.source) == true)
  #expect(activations.findings.first?.row == 0)
}

/// The shared model: each fault fails the gate and is named.
@Test(
  .enabled(
    if: SharedData.exists("models/stories260K/stories260K.bin"), "the shared model is absent"),
  arguments: SeededFault.allCases)
func faultsInStoriesFailTheGateAndAreNamed(_ fault: SeededFault) throws {
  let model = try ModelImporter.load(
    SharedData.url("models/stories260K/stories260K.bin").path,
    ImportOptions(
      context: 256, tokenizer: SharedData.url("models/stories260K/tok512.bin").path))
  let tokenizer = try #require(model.tokenizer)
  let text = try String(
    contentsOf: SharedData.url("data/tinystories_val.txt"), encoding: .utf8)
  let ids = tokenizer.encode(String(text.prefix(3000)))
  let windows = (0..<3).map { Array(ids[$0 * 200..<$0 * 200 + 200]) }
  let sound = try Quantizer.quantize(
    model.graph, recipe: .w8a16, calibrationTokens: [Array(ids.suffix(128))])
  var faulty = sound
  let name = try fault.apply(to: &faulty)
  let (good, bad) = (try compiled(sound), try compiled(faulty))
  let float = try FloatLogitModel(model.graph)
  let measured = try figures(good, float, windows)
  let baseline = Baseline.recorded(
    measured, settings: .init(stage: "compiled", model: "stories"), onChange: .fail, keeping: nil)
  // The sound build, built again, passes.
  #expect(
    GateReport(try figures(try compiled(sound), float, windows), against: baseline, file: "b")
      .passed)
  let report = GateReport(try figures(bad, float, windows), against: baseline, file: "b")
  #expect(!report.passed)
  // A wrong scale or tensor is far outside the tolerances; a table entry off by one moves single steps
  // of 16-bit values, which no accuracy figure can show: the checksum does.
  let failed = Set(report.failures.map(\.name))
  #expect(failed.contains("logits"))
  #expect(failed.contains("kld_mean") == (fault != .tableEntry))
  let result = try Bisection(good, bad, probe: Array(ids.prefix(12)))
  #expect(result.first?.stage == fault.stage)
  #expect(result.first?.name == name)
}
