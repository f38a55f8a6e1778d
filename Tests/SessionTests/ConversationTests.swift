import ProgramFormat
import Quantize
import Support
import TestKit
import Testing

@testable import Session

/// Conversations that outgrow the context, and such that start with a fixed text.
@Suite struct ConversationTests {
  /// A full cache forgets the older half but for the first tokens; the rest is as if it had been all.
  @Test(
    arguments: [(0, 0), (4, 0), (30, 0), (31, 0), (5, 5), (9, 3)],
    ["w8a16", "w8a16:kv=4,embeddings=4"])
  func rollingKeepsTheNewerHalf(_ size: (keep: Int, fixed: Int), _ recipe: String) throws {
    let (keep, fixed) = size
    var random = SplitMix64(seed: 7)
    let prefix = (0..<fixed).map { _ in Int32(random.next() % 64) }
    let model = try CompiledModel(
      RandomLlama(), recipe: #require(QuantizationRecipe(name: recipe)), target: "alif-e8",
      prefix: prefix)
    var ids = prefix
    for index in 0..<50 {
      let token = Int32(random.next() % 64)
      if ids.count == 32 {
        ids = Array(ids.prefix(keep) + ids.suffix((32 - keep) / 2))
      }
      ids.append(token)
      if index == 3 {
        // What came as a prompt belongs to the window too.
        let more = [Int32](repeating: 9, count: 10)
        try model.session.prompt([token] + more)
        ids += more
      } else {
        try model.session.decode(token, keeping: keep)
      }
      #expect(model.session.position == ids.count)
      if index % 7 == 0 || ids.count < 22 {
        let expected = try model.expected(ids)
        #expect(Array(model.session.logits) == expected.logits, "token \(index)")
        model.compareState(expected.state, "token \(index)")
      }
    }
  }

  @Test func rollingRefusesWhatCannotBeKept() throws {
    let model = try CompiledModel(
      RandomLlama(), recipe: .w8a16, target: "alif-e8", prefix: [1, 2, 3])
    #expect(throws: DiagnosticError.self) { try model.session.decode(1, keeping: 2) }
    #expect(throws: DiagnosticError.self) { try model.session.decode(1, keeping: 32) }
    #expect(throws: DiagnosticError.self) { try model.session.decode(1, keeping: -1) }
    #expect(throws: DiagnosticError.self) { try model.session.decode(64, keeping: 3) }
    #expect(model.session.position == 3)
  }

  /// A prefix costs nothing when the program runs, and conversations go on as if it had been read.
  @Test(
    arguments: ["alif-e7-hp", "alif-e8"],
    [("w8a8", 1), ("w8a8", 9), ("w8a8", 31), ("w8a8:kv=4", 1), ("w8a8:kv=4", 6), ("w8a8:kv=4", 9)])
  func prefixesAreThereFromTheStart(
    _ target: String, _ size: (recipe: String, count: Int)
  ) throws {
    let count = size.count
    var random = SplitMix64(seed: UInt64(count))
    let prefix = (0..<count).map { _ in Int32(random.next() % 64) }
    let model = try CompiledModel(
      RandomLlama(), recipe: #require(QuantizationRecipe(name: size.recipe)), target: target,
      prefix: prefix)
    let session = model.session
    for _ in 0..<2 {
      #expect(session.position == count)
      let more = (0..<min(12, 32 - count)).map { _ in Int32(random.next() % 64) }
      session.resetCounters()
      try session.prompt(more)
      let expected = try model.expected(prefix + more)
      #expect(Array(session.logits) == expected.logits)
      model.compareState(expected.state, "\(count) + \(more.count)")
      #expect(throws: DiagnosticError.self) {
        try session.prompt([Int32](repeating: 1, count: 33 - session.position))
      }
      session.reset()
    }
  }
}
