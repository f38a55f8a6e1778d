/// How many tokens `prefill` runs at once.
public enum BatchChoice: Sendable, Hashable {
  /// As many as the graph's function takes.
  case asGiven
  /// The size that takes the least time for a prompt of some length, by the timing model.
  case fastest(promptTokens: Int)

  /// Sizes to choose from.
  static let candidates = [8, 16, 32, 64]
  /// How much longer a smaller batch, which takes less memory and a shorter stream, may take: a part of
  /// the shortest time.
  static let tolerance = 0.15

  /// What a run costs, in NPU cycles.
  struct Cost: Equatable {
    /// Tokens of a batch.
    let tokens: Int
    /// Of a batch.
    let batch: Int
    /// Of one token.
    let decode: Int

    /// A measured cost.
    init(tokens: Int, batch: Int, decode: Int) {
      self.tokens = tokens
      self.batch = batch
      self.decode = decode
    }

    /// What a batch of another size should cost: the weights' part stays, the rest grows with the tokens.
    init(tokens: Int, between one: Cost, and two: Cost) {
      let slope = Double(two.batch - one.batch) / Double(max(two.tokens - one.tokens, 1))
      let batch = Double(one.batch) + slope * Double(tokens - one.tokens)
      self.init(tokens: tokens, batch: max(Int(batch), 1), decode: one.decode)
    }

    /// The fewest tokens for which a batch, whose other rows are wasted, is faster than single tokens.
    var from: Int { max(batch / max(decode, 1) + 1, 1) }

    /// Cycles of a prompt of `count` tokens, as the runtime runs it.
    func prompt(_ count: Int) -> Int {
      let before = max(count - 1, 0)
      let rest = before % tokens
      let whole = from <= tokens ? before / tokens * batch : before / tokens * tokens * decode
      return whole + (rest >= from ? batch : rest * decode) + decode
    }
  }

  /// The smallest of the costs' batches that is nearly as fast as the fastest; nil without any.
  static func best(of costs: [Cost], promptTokens: Int) -> Int? {
    guard let least = costs.map({ $0.prompt(promptTokens) }).min() else { return nil }
    let limit = Double(least) * (1 + tolerance)
    return costs.filter { Double($0.prompt(promptTokens)) <= limit }.map(\.tokens).min()
  }
}
