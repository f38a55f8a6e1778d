import GraphIR
import TensorCore
import Testing

/// Expects two graphs to be the same but for names: functions, types, attributes and numbers.
func expectSame(
  _ a: Graph, _ b: Graph, sourceLocation: SourceLocation = #_sourceLocation
) throws {
  #expect(a.functions.map(\.name) == b.functions.map(\.name), sourceLocation: sourceLocation)
  for (f, g) in zip(a.functions, b.functions) {
    #expect(f.values == g.values, sourceLocation: sourceLocation)
    #expect(f.inputs == g.inputs && f.results == g.results, sourceLocation: sourceLocation)
    #expect(
      f.operations.map(\.code) == g.operations.map(\.code), sourceLocation: sourceLocation)
    #expect(
      f.operations.map(\.operands) == g.operations.map(\.operands), sourceLocation: sourceLocation)
    #expect(
      f.operations.map(\.attributes) == g.operations.map(\.attributes),
      sourceLocation: sourceLocation)
  }
  #expect(a.states == b.states, sourceLocation: sourceLocation)
  #expect(a.constants.count == b.constants.count, sourceLocation: sourceLocation)
  for (p, q) in zip(a.constants, b.constants) {
    #expect(p.type == q.type, sourceLocation: sourceLocation)
    let count = p.type.shape.count
    let x = try #require(p.data?.floats(count: count), sourceLocation: sourceLocation)
    let y = try #require(q.data?.floats(count: count), sourceLocation: sourceLocation)
    #expect(x == y, "\(p.name) and \(q.name)", sourceLocation: sourceLocation)
  }
}
