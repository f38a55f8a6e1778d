/// What each weight costs in a stream of given statistics: for quantisers that weigh bits.
public struct WeightPrices: Sendable {
  /// Bits of each weight −128…127, by its value plus 128.
  public let bits: [Float]
  /// Bits of all counted weights, header included.
  public let total: Int

  /// The prices under the cheapest plan of one section for weights with these counts (by value plus
  /// 128). A weight that does not occur is priced as if the code were stretched to hold it.
  public init(counts: [Int]) {
    var folded = [Int](repeating: 0, count: 512)
    for (index, count) in counts.enumerated().prefix(256) where count > 0 {
      folded[StandardWeightEncoder.fold(Int16(index - 128))] += count
    }
    guard folded.contains(where: { $0 > 0 }) else {
      bits = [Float](repeating: 8, count: 256)
      total = 0
      return
    }
    let plan = StreamPlan.best(counts: folded, runBits: nil)
    func price(_ code: Int) -> Int {
      if plan.isRaw { return plan.rawWidth ?? 8 }
      let quotient = code >> plan.divisor
      return (plan.isTruncated ? min(quotient + 1, 2) : quotient + 1) + plan.divisor
    }
    let dearest = folded.indices.reduce(0) {
      folded[$1] > 0 ? max($0, price(Int(plan.codeOf[$1]))) : $0
    }
    bits = (0..<256).map { index in
      let value = StandardWeightEncoder.fold(Int16(index - 128))
      return folded[value] > 0 ? Float(price(Int(plan.codeOf[value]))) : Float(dearest + 2)
    }
    total = plan.bits
  }
}
