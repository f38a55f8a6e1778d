import Passes
import Quantize
import TestKit
import Testing

/// A naive exporter's graph, made canonical, compiles to a program that computes what the integer
/// reference says, byte for byte.
@Test(arguments: [NaiveLlama.Rotation.rotateHalf, .pairs], ["alif-e7-hp", "alif-e8"])
func naiveGraphsCompile(_ rotation: NaiveLlama.Rotation, _ target: String) throws {
  var naive = NaiveLlama()
  naive.rotation = rotation
  let (graph, report) = try naive.graph().canonicalised()
  try report.requireNone()
  let model = try CompiledModel(naive.model, graph: graph, recipe: .w8a16, target: target)
  #expect(model.program.manifest.report.transposes == 0)
  #expect(model.program.manifest.report.cpuOps == 0)
  try model.compareDecode([3, 14, 15, 9, 26])
}
