import GraphIR
import Quantize
import Support
import TensorCore
import TestKit
import Testing

@testable import Codegen

/// Which operations run as one, and where their results lie.
@Suite struct HorizontalFusionTests {
  private func graph(
    _ recipe: String = "w8a16", _ change: (inout RandomLlama) -> Void = { _ in }
  ) throws -> Graph {
    var shape = RandomLlama()
    change(&shape)
    var random = SplitMix64(seed: 3)
    let tokens = (0..<4).map { _ in
      (0..<shape.context).map { _ in Int32(random.next() % UInt64(shape.vocabulary)) }
    }
    return try Quantizer.quantize(
      shape.graph(), recipe: try #require(QuantizationRecipe(name: recipe)),
      calibrationTokens: tokens)
  }

  /// The names of what runs together, where that is more than one.
  private func fused(_ steps: [FusedOperation], _ function: Function) -> [[String]] {
    steps.filter { $0.operations.count > 1 }.map { step in
      step.operations.map { function.operations[$0].provenance.source }
    }
  }

  /// Queries and keys stand beside each other for their rotations, and every operation runs once.
  @Test func layersOfOneInputRunAsOne() throws {
    let graph = try graph { $0.layers = 1 }
    let decode = try #require(graph.function("decode"))
    let steps = try HorizontalFusion(decode, of: graph).schedule(decode)
    #expect(
      fused(steps, decode) == [
        ["blk.0.attn_q.weight", "blk.0.attn_k.weight", "blk.0.attn_v.weight"],
        ["blk.0.rope_q", "blk.0.rope_k"],
        ["blk.0.ffn_gate.weight", "blk.0.ffn_up.weight"],
      ])
    #expect(steps.flatMap(\.operations).sorted() == Array(decode.operations.indices))
    for (time, step) in steps.enumerated() {
      let known = Set(
        steps[..<time].flatMap(\.operations).flatMap { decode.operations[$0].results })
      for index in step.operations {
        for case .value(let id) in decode.operations[index].operands {
          #expect(known.contains(id) || decode.inputs.contains(id))
        }
      }
    }
  }

  /// Results of one step lie side by side, rows as far apart as all of them are wide, those without a use too;
  /// rotations take their place.
  @Test func resultsLieSideBySide() throws {
    let graph = try graph { $0.layers = 1 }
    var prefill = try #require(graph.function("prefill")).batched(5)
    // As importers leave the last layer.
    prefill.operations.removeAll {
      ["blk.0.attn_q.weight", "blk.0.rope_q"].contains($0.provenance.source)
    }
    let decode = try #require(graph.function("decode"))
    let steps = try HorizontalFusion(decode, of: graph).schedule(prefill)
    let plan = BufferPlan(function: prefill, schedule: steps) { _ in 0 }
    func place(_ name: String) throws -> BufferPlan.Place {
      let operation = try #require(
        prefill.operations.first { $0.provenance.source == name && !$0.results.isEmpty })
      return try #require(plan.places[operation.results[0]])
    }
    let (key, value) = (try place("blk.0.attn_k.weight"), try place("blk.0.attn_v.weight"))
    // Queries of 32 channels stand first, keys and values have 16.
    #expect(key.pitch == 2 * (32 + 16 + 16))
    #expect(value.pitch == key.pitch)
    #expect(value.offset - key.offset == 2 * 16)
    #expect(key.offset >= 2 * 32)
    #expect(try place("blk.0.rope_k") == key)
    #expect(plan.bytes >= 5 * key.pitch)
  }

  /// Both functions read the same packed layers.
  @Test func functionsShareGroups() throws {
    let graph = try graph()
    let decode = try #require(graph.function("decode"))
    let prefill = try #require(graph.function("prefill"))
    let fusion = try HorizontalFusion(decode, of: graph)
    let known = Set(try fusion.schedule(decode).compactMap(\.linear))
    let used = Set(try fusion.schedule(prefill).compactMap(\.linear))
    #expect(used.isSubset(of: known))
    #expect(Set(known.flatMap(\.parts)).count == known.reduce(0) { $0 + $1.parts.count })
  }

  /// Codebooks of sixteen values would have more together; three levels stay three.
  @Test func codebooksStayApart() throws {
    for (recipe, count) in [("c4a16", 0), ("w2a16", 2)] {
      let graph = try graph(recipe) { $0.layers = 1 }
      let decode = try #require(graph.function("decode"))
      let steps = try HorizontalFusion(decode, of: graph).schedule(decode)
      #expect(steps.count { $0.linear?.parts.count ?? 0 > 1 } == count, "\(recipe)")
    }
  }
}
