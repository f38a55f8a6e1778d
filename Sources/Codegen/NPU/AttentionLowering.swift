import EthosUISA
import ProgramFormat
import Support
import TensorCore

/// What `attention` of one row keeps between its operations.
struct AttentionScratch {
  let heads: Int
  let kvHeads: Int
  let context: Int
  let headDim: Int

  /// Products of one pass, at most, unless one head has more.
  private static let passBytes = 64 << 10

  /// Cache heads that are worked on together.
  var together: Int {
    let one = context * headDim * 2
    return (1...max(kvHeads, 1)).last { kvHeads % $0 == 0 && $0 * one <= Self.passBytes } ?? 1
  }

  /// How often a query stands beside itself, so that products with short keys fill whole bricks of 16
  /// channels: a map of few channels takes as long as one of many.
  var repeats: Int {
    guard headDim < 16 else { return 1 }
    return [8, 4, 2].first { context % $0 == 0 && headDim * $0 <= 64 } ?? 1
  }

  /// Widened cache rows and products of a pass; scores twice; nine numbers for each head; queries.
  var bytes: Int {
    func padded(_ bytes: Int) -> Int { (bytes + 15) / 16 * 16 }
    let pass = together * context * headDim
    return 2 * padded(pass * 2) + padded(heads * context * 4)
      + padded(heads * context * 2) + padded(heads * headDim * 2) + 9 * padded(heads * 4)
      + padded(heads * repeats * headDim * 2)
  }
}

extension OperationLowering {
  /// `attention` of one row (`Docs/Numerics.md`): products and sums of the scores over all positions of
  /// the context, a mask over those without a token, softmax, products and sums of the values.
  ///
  /// Of a batch it computes the row with the given number.
  func lowerAttention(
    _ reader: OperandReader, row: Int, _ params: inout ParamsBuilder,
    _ body: inout KernelSequence
  ) throws(DiagnosticError) {
    let q = try reader.value(0).row(row)
    let (keys, values) = (try reader.state(2), try reader.state(3))
    let heads = try reader.attribute("heads")
    let headDim = try reader.attribute("head_dim")
    let (kvHeads, context) = (keys.shape.height, keys.shape.width)
    let group = heads / kvHeads
    let layout = AttentionScratch(
      heads: heads, kvHeads: kvHeads, context: context, headDim: headDim)
    let together = layout.together
    let widened = body.map(.int16, together, context, headDim)
    let products = body.map(.int16, together, context, headDim)
    let scores = body.map(.int32, 1, heads, context)
    let weights = body.map(.int16, 1, heads, context)
    // The head of each cache head's group, in a map of one row for each head.
    func ofGroup(
      _ map: NPUTensor, _ first: Int, _ member: Int, _ width: Int, _ depth: Int, _ row: Int
    )
      -> NPUTensor
    {
      map.viewed(
        together, width, depth, strideY: group * row, from: (first * group + member) * row)
    }
    let repeats = layout.repeats
    let width = repeats * headDim
    var queries = q
    if repeats > 1 {
      queries = body.map(.int16, heads, repeats, headDim)
      body.elementwise(
        .mul, try params.ones(heads * width).viewed(heads, repeats, headDim),
        .tensor(q.viewed(heads, 1, headDim)), queries)
    }
    /// Several positions beside each other.
    func flat(_ map: NPUTensor) -> NPUTensor { map.viewed(together, context / repeats, width) }
    // A sum stands behind the next pass's widening, which uses the output unit while the array sums.
    var pending: NPUTensor?
    let multiplier = UInt32(try reader.attribute("score_multiplier"))
    let shift = try reader.attribute("score_shift")
    func sumScores() {
      guard let target = pending else { return }
      body.pool(.channelSum, products, target, multiplier: multiplier, shift: shift)
      pending = nil
    }
    for first in stride(from: 0, to: kvHeads, by: together) {
      body.widen(keys, first, into: widened)
      for member in 0..<group {
        sumScores()
        body.elementwise(
          .mul, flat(widened), .tensor(ofGroup(queries, first, member, 1, width, width)),
          flat(products), shift: 7)
        pending = ofGroup(scores, first, member, context, 1, context)
      }
    }
    body.widen(values, 0, into: widened)
    sumScores()
    let mask = NPUTensor(.state, state.mask - 4 * row, .int32, 1, 1, context)
    body.elementwise(.min, scores, .tensor(mask), scores)
    try lowerSoftmax(scores: scores, weights: weights, &params, &body)

    let result = try reader.result().row(row)
    let outMultiplier = UInt32(try reader.attribute("multiplier"))
    let outShift = try reader.attribute("shift")
    let isDirect = result.element == .int16 && outMultiplier == 1 && outShift == 0
    let sums = isDirect ? result : body.map(.int16, 1, 1, heads * headDim)
    func sumValues() {
      guard let target = pending else { return }
      body.pool(.rowSum, products, target)
      pending = nil
    }
    for first in stride(from: 0, to: kvHeads, by: together) {
      if first > 0 { body.widen(values, first, into: widened) }
      for member in 0..<group {
        sumValues()
        body.elementwise(
          .mul, widened, .tensor(ofGroup(weights, first, member, context, 1, context)), products,
          shift: 7)
        pending = ofGroup(sums, first, member, 1, headDim, headDim)
      }
    }
    sumValues()
    if !isDirect {
      body.elementwise(
        .mul, sums, .constant(1), result.viewed(1, 1, heads * headDim),
        multiplier: outMultiplier, shift: outShift)
    }
  }

  /// Scores (int32, [heads, positions]) to weights that add up to 2^15 (int16).
  func lowerSoftmax(
    scores: NPUTensor, weights: NPUTensor, _ params: inout ParamsBuilder,
    _ body: inout KernelSequence
  ) throws(DiagnosticError) {
    let (heads, context) = (scores.shape.width, scores.shape.depth)
    func scalar(_ value: Int32) throws(DiagnosticError) -> NPUKernel.Second {
      .tensor(try params.scalar(value))
    }
    let top = body.map(.int16, 1, heads, 1)
    let offset = body.map(.int32, 1, heads, 1)
    let sum = body.map(.int32, 1, heads, 1)
    let zeros = body.map(.int32, 1, heads, 1)
    let shift = body.map(.int32, 1, heads, 1)
    let normal = body.map(.int32, 1, heads, 1)
    let reciprocal = body.map(.int16, 1, heads, 1)

    // The largest score, to 16 steps.
    body.elementwise(.shr, scores, try scalar(4), weights)
    body.pool(.rowMaximum, weights.viewed(heads, context, 1), top.viewed(heads, 1, 1))
    body.elementwise(.mul, top, .constant(16), offset)
    body.elementwise(.sub, offset, try scalar(32759), offset)
    // Powers of two of the distances, and their sum.
    body.table(try params.table(FixedTables.powers))
    body.elementwise(.sub, scores, .tensor(offset), weights, usesTable: true)
    body.pool(.channelSum, weights, sum)
    // Its reciprocal: a mantissa from the table and an exponent.
    body.elementwise(.clz, sum, nil, zeros)
    body.elementwise(.sub, zeros, try scalar(1), shift)
    body.elementwise(.shl, sum, .tensor(shift), normal)
    body.table(try params.table(FixedTables.reciprocals))
    body.elementwise(.shr, normal, try scalar(16), reciprocal, usesTable: true)
    body.elementwise(.sub, zeros, try scalar(31), shift, swapped: true)
    body.elementwise(.mul, weights, .tensor(reciprocal), scores)
    body.elementwise(.shr, scores, .tensor(shift), weights)
  }
}

extension KernelSequence {
  /// The rows of cache heads `first ..< first + together`, as 16-bit numbers.
  mutating func widen(_ cache: NPUTensor, _ first: Int, into widened: NPUTensor) {
    let (together, context, headDim) = (
      widened.shape.height, widened.shape.width, widened.shape.depth
    )
    let pitch = cache.shape.depth
    // A product with 1 takes half the time of a sum with 0.
    elementwise(
      .mul,
      cache.viewed(
        together, context, headDim, strideY: context * pitch, strideX: pitch,
        from: first * context * pitch), .constant(1), widened)
  }
}
