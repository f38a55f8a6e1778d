import EthosUISA
import ProgramFormat
import Support
import TensorCore

/// What `kv_write` keeps between its operations.
struct CacheWriteScratch {
  /// Rows of the batch, and channels of all heads.
  let rows: Int
  let width: Int

  /// Numbers as bytes of the stream, those of rows that hold a token, and the bytes of eight positions of one
  /// row.
  var bytes: Int { 2 * padded(rows * width) + padded(width * 8) }

  private func padded(_ bytes: Int) -> Int { (bytes + 15) / 16 * 16 }
}

extension OperationLowering {
  /// `kv_write` (`Docs/Numerics.md`): centred, scaled and stored where the weight decoder will read it
  /// (``CacheLayout``).
  ///
  /// A U55's decoder wants magnitude and sign, which a table makes of a number; the U85's fast decoder takes
  /// numbers as they are.
  ///
  /// Base pointers are multiples of 16 bytes, but keys of two positions share 16 bytes, and values of eight
  /// positions share 8. So a token's keys are multiplied by 1 for its own place and by 0 for the other, its
  /// values by a one among seven zeros, and the products are merged with what is there: zeros, until a token
  /// comes. Batches start at multiples of eight positions; their rows have places of their own.
  func lowerCacheWrite(
    _ reader: OperandReader, _ params: inout ParamsBuilder, _ body: inout KernelSequence
  ) throws(DiagnosticError) {
    let x = try reader.value(0)
    let cache = try reader.stateID(2)
    let (rows, width) = (x.shape.width, x.shape.depth)
    let multipliers = graph[try reader.constantID(4)].data?.integers(Int32.self, count: width)
    let offsets = graph[try reader.constantID(3)].data?.integers(Int16.self, count: width)
    guard let multiplier = multipliers?.first, multiplier >= 0,
      multipliers?.allSatisfy({ $0 == multiplier }) == true
    else { throw reader.malformed("needs one scale for all heads of a cache") }

    let usesTable = !state.caches.keys.isFast
    if usesTable { body.table(try params.sharedTable()) }
    let isCentred = offsets?.allSatisfy { $0 == 0 } != true
    let bytes = body.map(.int8, 1, rows, width)
    body.elementwise(
      isCentred ? .sub : .mul, x,
      isCentred ? .tensor(try reader.constant(3, &params)) : .constant(1), bytes,
      multiplier: UInt32(multiplier), shift: try reader.attribute("shift"), minimum: -127,
      usesTable: usesTable)
    let write = CacheWrite(
      layout: state.caches, isKeys: state.keyCaches.contains(cache),
      heads: width / state.caches.channels, headDim: state.caches.channels,
      offset: try reader.stateOffset(2))
    if rows > 1 {
      // Rows without a token leave the zeros of their places.
      let held = body.map(.int8, 1, rows, width)
      body.elementwise(
        .mul, bytes, .tensor(NPUTensor(.state, state.slots, .int8, 1, rows, 1)), held)
      write.store(held, rows: rows, &body)
    } else if write.isKeys {
      write.addKeys(bytes, NPUTensor(.state, state.pairs, .int8, 1, 1, 2 * state.cacheWidth), &body)
    } else {
      write.addValues(bytes, NPUTensor(.state, state.slots, .int8, 1, width, 8), &body)
    }
  }

  /// The maps of ones and zeros that bytes of all layers are multiplied by, from the runtime's numbers.
  func lowerSelection(
    _ params: inout ParamsBuilder, _ body: inout KernelSequence
  ) throws(DiagnosticError) {
    if function.tokens > 1 {
      body.copy(
        NPUTensor(.state, state.validity, .int16, 1, function.tokens, 1),
        to: NPUTensor(.state, state.slots, .int8, 1, function.tokens, 1))
      return
    }
    let width = state.cacheWidth
    let ones = try params.ones(width * 8)
    body.elementwise(
      .mul, ones.viewed(1, width, 8),
      .tensor(NPUTensor(.state, state.selection, .int16, 1, 1, 8)),
      NPUTensor(.state, state.slots, .int8, 1, width, 8))
    let pairs = NPUTensor(.state, state.pairs, .int8, 1, 1, 2 * width)
    let parity = NPUTensor(.state, state.selection + 16, .int16, 1, 1, 1)
    if CacheWrite.pairsGroups(state.caches) {
      body.elementwise(
        .mul, ones.viewed(width / 8, 2, 8), .tensor(parity.viewed(1, 2, 1)),
        pairs.viewed(width / 8, 2, 8))
    } else {
      body.elementwise(
        .mul, ones.viewed(2, 1, width), .tensor(parity.viewed(2, 1, 1)), pairs.viewed(2, 1, width))
    }
  }
}

/// Stores numbers of all heads in one cache.
private struct CacheWrite {
  let layout: CacheLayout
  let isKeys: Bool
  let heads: Int
  let headDim: Int
  /// Where the cache starts in the state region.
  let offset: Int

  private var headBytes: Int { isKeys ? layout.keyBytes : layout.valueBytes }

  /// The channels of a head by where they are.
  private var runs: [PlaceRun] {
    PlaceRun.split((0..<headDim).map { isKeys ? layout.keyPlace($0) : layout.valuePlace($0) })
  }

  /// Bytes of the position at hand in the streams of some heads.
  private func place(
    _ heads: Range<Int>, _ height: Int, _ width: Int, _ depth: Int, strideY: Int, strideX: Int,
    at place: Int
  ) -> NPUTensor {
    var map = NPUTensor(isKeys ? .keys : .values, offset, .int8, 1, 1, 1).viewed(
      height, width, depth, strideY: strideY, strideX: strideX,
      from: heads.lowerBound * headBytes + place)
    map.reach = offset + heads.lowerBound * headBytes..<offset + heads.upperBound * headBytes
    return map
  }

  /// Whether keys of both places that share 16 bytes stand beside each other in groups of eight channels.
  static func pairsGroups(_ layout: CacheLayout) -> Bool { layout.channels % 8 == 0 }

  /// A batch's rows at their own places.
  ///
  /// Neighbouring positions that are evenly apart are stored at once: keys as rows of eight channels, values
  /// number by number. Heads, or the parts of a head, take the direction that is left, whichever are more.
  func store(_ source: NPUTensor, rows: Int, _ body: inout KernelSequence) {
    let width = heads * headDim
    let places = (0..<rows).map { isKeys ? layout.keyOffset($0) : layout.valueOffset($0) }
    var next = 0
    while next < rows {
      let (first, at) = (next, places[next])
      let step = first + 1 < rows ? max(places[first + 1] - at, 0) : 0
      var count = 1
      while step > 0, first + count < rows, places[first + count] == at + count * step {
        count += 1
      }
      next += count
      for run in runs {
        if run.columnStride == 1 {
          for part in parts(run) {
            body.copy(
              source.viewed(
                part.count, count, run.columns, strideY: part.sourceStride, strideX: width,
                from: first * width + part.first),
              to: place(
                part.heads, part.count, count, run.columns, strideY: part.stride, strideX: step,
                at: at + part.place))
          }
          continue
        }
        storeSingly(source, run, from: first, count: count, step: step, at: at, &body)
      }
    }
  }

  /// Numbers of a run of channels that are apart: channel by channel of neighbouring positions, or
  /// position by position of all heads, whichever takes fewer operations.
  private func storeSingly(
    _ source: NPUTensor, _ run: PlaceRun, from first: Int, count: Int, step: Int, at: Int,
    _ body: inout KernelSequence
  ) {
    let width = heads * headDim
    let parts = parts(run)
    if heads * run.rows <= count * parts.count {
      for head in 0..<heads {
        for row in 0..<run.rows {
          body.copy(
            source.viewed(
              count, run.columns, 1, strideY: width, strideX: 1,
              from: first * width + head * headDim + run.first + row * run.columns),
            to: place(
              head..<head + 1, count, run.columns, 1, strideY: step, strideX: run.columnStride,
              at: at + run.place + row * run.rowStride))
        }
      }
      return
    }
    for position in 0..<count {
      for part in parts {
        body.copy(
          source.viewed(
            part.count, run.columns, 1, strideY: part.sourceStride, strideX: 1,
            from: (first + position) * width + part.first),
          to: place(
            part.heads, part.count, run.columns, 1, strideY: part.stride,
            strideX: run.columnStride, at: at + position * step + part.place))
      }
    }
  }

  /// Rows of channels that one operation stores: the same row of all heads, or all rows of one head.
  private struct Part {
    /// The heads, and how many rows.
    let heads: Range<Int>
    let count: Int
    /// The first channel of all heads' and elements between rows.
    let first: Int
    let sourceStride: Int
    /// Where the first row is, from the first head's on, and bytes between rows.
    let place: Int
    let stride: Int
  }

  /// The rows of a run for all heads, in as few parts as can be.
  private func parts(_ run: PlaceRun) -> [Part] {
    if run.rows <= heads {
      return (0..<run.rows).map {
        Part(
          heads: 0..<heads, count: heads, first: run.first + $0 * run.columns,
          sourceStride: headDim, place: run.place + $0 * run.rowStride, stride: headBytes)
      }
    }
    return (0..<heads).map {
      Part(
        heads: $0..<$0 + 1, count: run.rows, first: $0 * headDim + run.first,
        sourceStride: run.columns, place: run.place, stride: run.rowStride)
    }
  }

  /// A token's keys at one of the two places that share 16 bytes: `pairs` is 1 for its own, 0 for the other.
  func addKeys(_ source: NPUTensor, _ pairs: NPUTensor, _ body: inout KernelSequence) {
    let width = heads * headDim
    let isWhole = Self.pairsGroups(layout)
    /// Both places' bytes beside each other, group by group of eight channels; or one after the other.
    let bytes = body.map(.int8, 1, 1, 2 * width)
    func both(_ map: NPUTensor) -> NPUTensor {
      isWhole
        ? map.viewed(width / 8, 2, 8) : map.viewed(2, 1, width, strideY: map.shape.depth / 2)
    }
    body.elementwise(
      .mul, both(pairs),
      .tensor(isWhole ? source.viewed(width / 8, 1, 8) : source.viewed(1, 1, width)), both(bytes))
    for run in runs {
      for slot in isWhole ? 0..<1 : 0..<2 {
        let depth = isWhole ? 16 : run.columns
        let there = place(
          0..<heads, heads, run.rows, depth, strideY: headBytes, strideX: run.rowStride,
          at: run.place + slot * 8)
        let from = isWhole ? 2 * run.first : slot * width + run.first
        merge(
          bytes.viewed(
            heads, run.rows, depth, strideY: isWhole ? 2 * headDim : headDim, strideX: depth,
            from: from), there, &body)
      }
    }
  }

  /// A token's values at one of the eight places that share 8 bytes: `slots` has a one for it.
  func addValues(_ source: NPUTensor, _ slots: NPUTensor, _ body: inout KernelSequence) {
    let width = heads * headDim
    let bytes = body.map(.int8, 1, width, 8)
    body.elementwise(.mul, slots, .tensor(source.viewed(1, width, 1)), bytes)
    for run in runs {
      if run.columnStride == 8 {
        // The places of neighbouring channels lie side by side, too.
        let depth = run.columns * 8
        merge(
          bytes.viewed(
            heads, run.rows, depth, strideY: headDim * 8, strideX: depth, from: run.first * 8),
          place(
            0..<heads, heads, run.rows, depth, strideY: headBytes, strideX: run.rowStride,
            at: run.place), &body)
        continue
      }
      for part in parts(run) {
        merge(
          bytes.viewed(
            part.count, run.columns, 8, strideY: part.sourceStride * 8, from: part.first * 8),
          place(
            part.heads, part.count, run.columns, 8, strideY: part.stride,
            strideX: run.columnStride, at: part.place), &body)
      }
    }
  }

  /// Brings bytes together of which one is zero. The larger one of bytes without a sign costs a third of the sum.
  private func merge(
    _ bytes: NPUTensor, _ there: NPUTensor, _ body: inout KernelSequence
  ) {
    let place = there.unsignedBytes
    body.elementwise(.max, place, .tensor(bytes.unsignedBytes), place)
  }
}
