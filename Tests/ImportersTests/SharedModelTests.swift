import GraphIR
import Importers
import Support
import TensorCore
import TestKit
import Testing

@Suite(.enabled(if: SharedData.exists("models/stories260K/stories260K.bin")))
struct SharedModelTests {
  static func load(_ name: String) throws -> ImportedModel {
    try ModelImporter.load(SharedData.url("models/stories260K/\(name)").path)
  }

  @Test func checkpointHasItsNumbers() throws {
    let model = try Self.load("stories260K.bin")
    #expect(model.format == .llama2c)
    #expect(model.parameters == 260032)
    #expect(model.weightTypes == ["float32": 260032])
    let c = model.configuration
    #expect(
      [c.dim, c.layers, c.heads, c.kvHeads, c.headDim, c.hidden, c.vocabulary, c.context]
        == [64, 5, 8, 4, 8, 172, 512, 512])
    #expect(c.tied)
    #expect(model.graph.states.count == 10)
    #expect(model.tokenizer?.count == 512)
    #expect(model.graph.function("prefill")?.results.isEmpty == true)
  }

  @Test func checkpointAndGGUFGiveTheSameGraph() throws {
    let a = try Self.load("stories260K.bin").graph
    let b = try Self.load("stories260K-F32.gguf").graph
    try expectSame(a, b)
    try Verifier.verify(a)
  }

  @Test func quantisedFilesAreCloseToTheFloats() throws {
    let exact = try Self.load("stories260K.bin").graph
    for (name, bound) in [("Q8_0", 0.01), ("Q4_0", 0.12)] {
      let model = try Self.load("stories260K-\(name).gguf")
      for (p, q) in zip(exact.constants, model.graph.constants) {
        let count = p.type.shape.count
        let x = try #require(p.data?.floats(count: count))
        let y = try #require(q.data?.floats(count: count))
        let error = zip(x, y).reduce(0.0) { $0 + Double(($1.0 - $1.1) * ($1.0 - $1.1)) }
        let power = x.reduce(0.0) { $0 + Double($1 * $1) }
        #expect(error.squareRoot() <= bound * power.squareRoot(), "\(q.name) of \(name)")
      }
    }
  }
}
