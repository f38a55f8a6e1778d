import EthosUISA
import ProgramFormat
import Support
import TensorCore

/// What `attention` of several rows keeps between its operations.
struct BatchAttentionScratch {
  /// What one row keeps.
  let one: AttentionScratch
  /// Rows of the batch.
  let batch: Int

  /// Scores and weights of the rows that are worked on together, at most, unless one row has more.
  private static let scoreBytes = 64 << 10

  /// How many rows are worked on together: parts of the batch as equal as can be.
  var rows: Int {
    let most = max(Self.scoreBytes / max(one.heads * one.context * 6, 1), 1)
    let parts = (batch + most - 1) / most
    return (batch + parts - 1) / max(parts, 1)
  }

  /// Widened cache rows and products of a pass; scores twice; nine numbers for each head of each row.
  var bytes: Int {
    guard rows > 1 else { return one.bytes }
    func padded(_ bytes: Int) -> Int { (bytes + 15) / 16 * 16 }
    let pass = one.together * one.context * one.headDim
    let heads = rows * one.heads
    return 2 * padded(pass * 2) + padded(heads * one.context * 4)
      + padded(heads * one.context * 2) + padded(heads * one.headDim * 2) + 9 * padded(heads * 4)
  }
}

extension OperationLowering {
  /// `attention` of all rows of a batch (`Docs/Numerics.md`).
  ///
  /// What one row does, with the widened cache rows used by all rows that are worked on together, and one
  /// softmax over all their heads. Only the mask is each row's own: row `t` reads it `t` numbers earlier.
  func lowerBatchAttention(
    _ reader: OperandReader, _ params: inout ParamsBuilder, _ body: inout KernelSequence
  ) throws(DiagnosticError) {
    let (q, result) = (try reader.value(0), try reader.result())
    let cache = try reader.state(2)
    let batch = q.shape.width
    let layout = BatchAttentionScratch(
      one: AttentionScratch(
        heads: try reader.attribute("heads"), kvHeads: cache.shape.height,
        context: cache.shape.width, headDim: try reader.attribute("head_dim")),
      batch: batch)
    for first in stride(from: 0, to: batch, by: layout.rows) {
      body.reuseScratch()
      let rows = min(layout.rows, batch - first)
      if rows == 1 {
        try lowerAttention(reader, row: first, &params, &body)
      } else {
        try lowerAttention(
          reader, layout.one, rows: first..<first + rows, q: q, result: result, &params, &body)
      }
    }
  }

  private func lowerAttention(
    _ reader: OperandReader, _ layout: AttentionScratch, rows: Range<Int>, q: NPUTensor,
    result: NPUTensor, _ params: inout ParamsBuilder, _ body: inout KernelSequence
  ) throws(DiagnosticError) {
    let (keys, values) = (try reader.state(2), try reader.state(3))
    let (heads, context, headDim) = (layout.heads, layout.context, layout.headDim)
    let (together, group) = (layout.together, heads / layout.kvHeads)
    let count = rows.count
    let widened = body.map(.int16, together, context, headDim)
    let products = body.map(.int16, together, context, headDim)
    let scores = body.map(.int32, 1, count * heads, context)
    let weights = body.map(.int16, 1, count * heads, context)
    /// The heads that a pass works on, of one row of the batch: a map with `length` elements a head.
    func views(_ map: NPUTensor, _ head: Int, _ width: Int, _ depth: Int, _ length: Int)
      -> NPUTensor
    {
      map.viewed(together, width, depth, strideY: group * length, from: head * length)
    }
    for first in stride(from: 0, to: layout.kvHeads, by: together) {
      body.widen(keys, first, into: widened)
      for row in rows {
        for head in first * group..<first * group + group {
          body.elementwise(
            .mul, widened, .tensor(views(q, row * heads + head, 1, headDim, headDim)), products,
            shift: 7)
          body.pool(
            .channelSum, products,
            views(scores, (row - rows.lowerBound) * heads + head, context, 1, context),
            multiplier: UInt32(try reader.attribute("score_multiplier")),
            shift: try reader.attribute("score_shift"))
        }
      }
    }
    for row in rows {
      let own = scores.viewed(
        1, heads, context, from: (row - rows.lowerBound) * heads * context)
      let mask = NPUTensor(.state, state.mask - 4 * row, .int32, 1, 1, context)
      body.elementwise(.min, own, .tensor(mask), own)
    }
    try lowerSoftmax(scores: scores, weights: weights, &params, &body)

    let multiplier = UInt32(try reader.attribute("multiplier"))
    let shift = try reader.attribute("shift")
    let isDirect = result.element == .int16 && multiplier == 1 && shift == 0
    let width = heads * headDim
    let own = result.viewed(1, count, width, from: rows.lowerBound * width)
    let sums = isDirect ? own : body.map(.int16, 1, count, width)
    for first in stride(from: 0, to: layout.kvHeads, by: together) {
      body.widen(values, first, into: widened)
      for row in 0..<count {
        for head in first * group..<first * group + group {
          body.elementwise(
            .mul, widened, .tensor(views(weights, row * heads + head, context, 1, context)),
            products, shift: 7)
          body.pool(.rowSum, products, views(sums, row * heads + head, 1, headDim, headDim))
        }
      }
    }
    if !isDirect {
      body.elementwise(
        .mul, sums, .constant(1), own, multiplier: multiplier, shift: shift)
    }
  }
}
