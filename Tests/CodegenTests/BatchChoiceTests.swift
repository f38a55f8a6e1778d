import Testing

@testable import Codegen

/// The size of batches follows what a prompt costs as the runtime runs it.
@Suite struct BatchChoiceTests {
  @Test func promptsCostWhatTheRuntimeRuns() {
    let cost = BatchChoice.Cost(tokens: 8, batch: 350, decode: 100)
    #expect(cost.from == 4)
    #expect(cost.prompt(1) == 100)
    // Three tokens before the last are cheaper one by one, four are not.
    #expect(cost.prompt(4) == 400)
    #expect(cost.prompt(5) == 450)
    #expect(cost.prompt(9) == 450)
    #expect(cost.prompt(12) == 350 + 300 + 100)
    #expect(cost.prompt(64) == 8 * 350 + 100)
    // A batch that is dearer than its tokens is never run.
    let dear = BatchChoice.Cost(tokens: 4, batch: 500, decode: 100)
    #expect(dear.from == 6)
    #expect((1...20).allSatisfy { dear.prompt($0) == 100 * $0 })
  }

  @Test func largerBatchesPayWhereWeightsDominate() {
    func best(weights: Int, token: Int, decode: Int) -> Int? {
      let measured = [8, 16].map {
        BatchChoice.Cost(tokens: $0, batch: weights + token * $0, decode: decode)
      }
      let costs = BatchChoice.candidates.map {
        BatchChoice.Cost(tokens: $0, between: measured[0], and: measured[1])
      }
      #expect(costs[1] == measured[1])
      #expect(costs[3].batch == weights + 64 * token)
      return BatchChoice.best(of: costs, promptTokens: 64)
    }
    #expect(best(weights: 1000, token: 1, decode: 1100) == 64)
    #expect(best(weights: 10, token: 1000, decode: 1010) == 8)
    #expect(best(weights: 100, token: 100, decode: 250).map { $0 > 4 && $0 < 64 } == true)
    #expect(BatchChoice.best(of: [], promptTokens: 64) == nil)
  }
}
