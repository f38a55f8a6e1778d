import EthosUISA
import ProgramFormat
import Support
import TensorCore

/// What `attention` keeps between its operations.
struct AttentionScratch {
  let heads: Int
  let headDim: Int
  /// Elements of a row of sums.
  let sums: Int
  /// Elements between rows of scores.
  let pitch: Int
  /// Rows of the batch.
  let batch: Int

  /// Scores of the rows that are worked on together, at most, unless one row has more.
  private static let scoreBytes = 96 << 10

  /// How many rows are worked on together: parts of the batch as equal as can be.
  var rows: Int {
    let most = max(Self.scoreBytes / max(heads * pitch * 2, 1), 1)
    let parts = (batch + most - 1) / most
    return (batch + parts - 1) / max(parts, 1)
  }

  /// Scores, their largest in parts, sums of values in two widths, and five numbers (largest score, sum,
  /// leading zeros, shift, reciprocal) of at most four bytes for each head of each row.
  var bytes: Int {
    func padded(_ bytes: Int) -> Int { (bytes + 15) / 16 * 16 }
    let count = rows * heads
    return padded(count * pitch * 2) + padded(rows * sums * 4) + padded(count * headDim * 2)
      + padded(count * OperationLowering.maximumPart * 2) + 5 * padded(count * 4)
  }
}

/// Maps with the channels of all heads of a stream for each head, where heads share streams.
///
/// A head's own channels are further on with each cache head of a stream. Streams begin so much later, too, that
/// the own channels of all heads are evenly apart.
struct SharedHeads {
  /// Query heads of a cache head, cache heads of a stream, streams.
  let group: Int
  let sharing: Int
  let streams: Int
  let headDim: Int

  /// Channels of a stream.
  var width: Int { sharing * headDim }
  /// Elements from one cache head to the next, from a stream to the next, and of a row.
  var headPitch: Int { group * width + (sharing > 1 ? headDim : 0) }
  var streamPitch: Int { sharing * headPitch }
  var rowPitch: Int { streams * streamPitch }

  /// The heads' own channels of a wide map, beside the same heads of compact maps with so many elements for
  /// each: a part, or one for each cache head where there are several rows.
  func own(
    _ rows: Int, _ wide: NPUTensor, _ others: (map: NPUTensor, depth: Int, row: Int)...
  ) -> [(own: NPUTensor, others: [NPUTensor])] {
    let cacheHeads = streams * sharing
    if rows == 1 {
      return [
        (
          wide.viewed(cacheHeads, group, headDim, strideY: headPitch, strideX: width),
          others.map { $0.map.viewed(cacheHeads, group, $0.depth) }
        )
      ]
    }
    return (0..<cacheHeads).map { head in
      (
        wide.viewed(
          rows, group, headDim, strideY: rowPitch, strideX: width, from: head * headPitch),
        others.map {
          $0.map.viewed(
            rows, group, $0.depth, strideY: $0.row, strideX: $0.depth,
            from: head * group * $0.depth)
        }
      )
    }
  }
}

extension OperationLowering {
  /// `attention` (`Docs/Numerics.md`): a convolution for each cache head whose weights are the keys, a
  /// softmax that does not divide, a convolution whose weights are the values, and the division.
  ///
  /// All rows of a batch, and all heads of a group, are pixels of the same convolution. Only the mask is each
  /// row's own: row `t` reads it `t` numbers earlier.
  func lowerAttention(
    _ reader: OperandReader, _ params: inout ParamsBuilder, _ body: inout KernelSequence
  ) throws(DiagnosticError) {
    let (q, result) = (try reader.value(0), try reader.result())
    let batch = q.shape.width
    let heads = try reader.attribute("heads")
    let shared = state.shared(heads: heads, kvHeads: max(try reader.attribute("kv_heads"), 1))
    let scratch = AttentionScratch(
      heads: heads, headDim: shared.headDim, sums: shared.rowPitch,
      pitch: state.caches.scorePitch, batch: batch)
    for first in stride(from: 0, to: batch, by: scratch.rows) {
      body.reuseScratch()
      let rows = first..<min(first + scratch.rows, batch)
      func part(_ map: NPUTensor) -> NPUTensor {
        map.viewed(1, rows.count, map.shape.depth, strideX: map.pitch, from: first * map.pitch)
      }
      try lowerAttention(
        reader, shared, rows: rows, q: part(q), result: part(result), &params, &body)
    }
  }

  private func lowerAttention(
    _ reader: OperandReader, _ shared: SharedHeads, rows: Range<Int>, q: NPUTensor,
    result: NPUTensor, _ params: inout ParamsBuilder, _ body: inout KernelSequence
  ) throws(DiagnosticError) {
    let layout = state.caches
    let (keys, values) = (try reader.stateOffset(2), try reader.stateOffset(3))
    let (streams, headDim, width) = (shared.streams, shared.headDim, shared.width)
    let group = shared.group * shared.sharing
    let heads = group * streams
    let pitch = layout.scorePitch
    let count = rows.count * heads
    let scores = body.map(.int16, 1, count, pitch)
    let sums = body.map(.int32, 1, rows.count, shared.rowPitch)
    let means = body.map(.int16, 1, count, headDim)
    var q = q
    if shared.sharing > 1 {
      let wide = NPUTensor(.state, state.queries, .int16, 1, rows.count, shared.rowPitch)
      for (own, others) in shared.own(rows.count, wide, (q, headDim, q.pitch)) {
        body.copy(others[0], to: own)
      }
      q = wide
    }
    /// The heads of a stream in all rows, `length` of `stride` elements from `first` on.
    func pixels(
      _ map: NPUTensor, _ g: Int, _ length: Int, _ stride: Int, stream: Int? = nil,
      row: Int? = nil, from first: Int = 0
    ) -> NPUTensor {
      let (start, row) = (g * (stream ?? group * stride) + first, row ?? heads * stride)
      return group == 1
        ? map.viewed(1, rows.count, length, strideX: row, from: start)
        : map.viewed(rows.count, group, length, strideY: row, strideX: stride, from: start)
    }
    let scoreRecords = try params.scaleRecords(
      count: layout.keys.outputs, shift: try reader.attribute("score_shift"), state.accelerator)
    for g in 0..<streams {
      // What stands before the positions of a part falls on the part before, which comes later.
      for chunk in (0..<layout.keyChunks).reversed() {
        body.convolve(
          pixels(q, g, width, width, stream: shared.streamPitch, row: q.pitch), layout.keys,
          at: keys + g * layout.keyBytes + chunk * layout.keys.bytes, scoreRecords,
          minimum: FixedTables.lowestScore,
          pixels(scores, g, layout.keys.outputs, pitch, from: chunk * layout.keyChunk))
      }
    }
    /// Positions of some heads. What others hold is multiplied by values that are zero until a token comes.
    func seen(_ first: Int, _ many: Int) -> NPUTensor {
      scores.viewed(1, many, positions, strideX: pitch, from: first * pitch + layout.lead)
    }
    for row in rows {
      let own = seen((row - rows.lowerBound) * heads, heads)
      let mask = NPUTensor(.state, state.mask - 2 * row, .int16, 1, 1, positions)
      body.elementwise(.min, own, .tensor(mask), own)
    }
    let (down, reciprocal) = try lowerSoftmax(seen(0, count), &params, &body)

    let valueRecords = try params.scaleRecords(
      count: layout.values.outputs, shift: 7, state.accelerator)
    for g in 0..<streams {
      for chunk in 0..<layout.valueChunks {
        body.convolve(
          pixels(scores, g, layout.values.inputs, pitch), layout.values,
          at: values + g * layout.valueBytes + chunk * layout.values.bytes, valueRecords,
          pixels(
            sums, g, layout.valueChunk, width, stream: shared.streamPitch, row: shared.rowPitch,
            from: chunk * layout.valueChunk))
      }
    }
    if shared.sharing > 1 {
      let row = heads * headDim
      for (own, others) in shared.own(rows.count, sums, (down, 1, heads), (means, headDim, row)) {
        body.elementwise(.shr, own, .tensor(others[0]), others[1])
      }
    } else {
      body.elementwise(.shr, sums.viewed(1, count, headDim), .tensor(down), means)
    }
    body.elementwise(
      .mul, means, .tensor(reciprocal), result.viewed(1, count, headDim),
      multiplier: UInt32(try reader.attribute("multiplier")), shift: try reader.attribute("shift"))
  }

  /// Positions of a part of the scores whose largest are found side by side.
  static let maximumPart = 16

  /// Scores (int16) to powers of two in their place. What they add up to, as a shift and a reciprocal, is left
  /// to divide by.
  private func lowerSoftmax(
    _ scores: NPUTensor, _ params: inout ParamsBuilder, _ body: inout KernelSequence
  ) throws(DiagnosticError) -> (down: NPUTensor, reciprocal: NPUTensor) {
    let (count, positions) = (scores.shape.width, scores.shape.depth)
    let pitch = scores.strideX / 2
    let top = body.map(.int16, 1, count, 1)
    let sum = body.map(.int32, 1, count, 1)
    let zeros = body.map(.int32, 1, count, 1)
    let down = body.map(.int32, 1, count, 1)
    let reciprocal = body.map(.int16, 1, count, 1)

    let part = Self.maximumPart
    if positions % part == 0, positions >= 8 * part {
      // Maps of one channel are slow: first the largest at each place of a part, then of those.
      let parts = body.map(.int16, count, 1, part)
      body.pool(
        .rowMaximum, scores.viewed(count, positions / part, part, strideY: pitch, strideX: part),
        parts)
      body.pool(
        .rowMaximum, parts.viewed(count, part, 1), top.viewed(count, 1, 1))
    } else {
      body.pool(
        .rowMaximum, scores.viewed(count, positions, 1, strideY: pitch, strideX: 1),
        top.viewed(count, 1, 1))
    }
    body.table(try params.sharedTable())
    body.elementwise(
      .sub, scores, .tensor(top), scores, multiplier: 8, maximum: FixedTables.largestPower,
      usesTable: true)
    body.pool(.channelSum, scores, sum)
    body.elementwise(.clz, sum, nil, zeros)
    body.elementwise(.sub, zeros, .tensor(try params.scalar(18)), down, swapped: true)
    // The smallest U55s keep a table only while it is used.
    body.table(try params.sharedTable())
    body.elementwise(
      .shr, sum, .tensor(down), reciprocal, maximum: FixedTables.largestReciprocal,
      usesTable: true)
    return (down, reciprocal)
  }
}
