import EthosUISA
import ProgramFormat
import Support
import TensorCore

/// What `kv_write` keeps between its operations.
struct CacheWriteScratch {
  /// Rows of the batch, and channels of all heads.
  let rows: Int
  let width: Int
  /// Whether two numbers share a byte.
  let isPacked: Bool

  /// Numbers as the stream has them, those of rows that hold a token, two of them in each byte where they are packed,
  /// and the bytes of eight positions of one row.
  var bytes: Int { (isPacked ? 3 : 2) * padded(rows * width) + padded(width * 8) }

  private func padded(_ bytes: Int) -> Int { (bytes + 15) / 16 * 16 }
}

extension OperationLowering {
  /// `kv_write` (`Docs/Numerics.md`): centred, scaled and stored where the weight decoder will read it
  /// (``CacheLayout``).
  ///
  /// A U55's decoder wants magnitude and sign of 8-bit numbers, which a table makes of them; the U85's fast decoder
  /// takes them as they are. Numbers of 4 bits are written as 1 … 15, for both.
  ///
  /// Base pointers are multiples of 16 bytes, but keys of two positions share 16 bytes, and values of eight
  /// positions share 8; of 4 bits, keys of four share 16, and values of eight 4. So a token's keys are multiplied by 1
  /// for its own place and by 0 for the others, its values by a one among seven zeros (or 16 for the upper half of a
  /// byte), and the products are merged with what is there: zeros, until a token
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

    let write = CacheWrite(
      layout: state.caches, isKeys: state.keyCaches.contains(cache),
      heads: width / state.caches.channels, offset: try reader.stateOffset(2))
    let stream = write.form.stream
    let usesTable = !stream.isFast && stream.bits == 8
    if usesTable { body.table(try params.sharedTable()) }
    let isCentred = offsets?.allSatisfy { $0 == 0 } != true
    let zero = stream.bits == 4 ? Int(stream.code(of: 0)) : 0
    var numbers = body.map(.int8, 1, rows, width)
    body.elementwise(
      isCentred ? .sub : .mul, x,
      isCentred ? .tensor(try reader.constant(3, &params)) : .constant(1), numbers,
      multiplier: UInt32(multiplier), shift: try reader.attribute("shift"),
      minimum: zero - stream.limit, maximum: zero > 0 ? zero + stream.limit : nil, zeroPoint: zero,
      usesTable: usesTable)
    let element = write.form.element
    numbers.element = element
    if rows > 1 {
      // Rows without a token leave the zeros of their places.
      let held = body.map(element, 1, rows, width)
      body.elementwise(
        .mul, numbers, .tensor(NPUTensor(.state, state.slots, element, 1, rows, 1)), held)
      write.store(stream.bits == 4 ? write.packed(held, &body) : held, rows: rows, &body)
    } else if write.isKeys {
      write.addKeys(
        stream.bits == 4 ? write.packed(numbers, &body) : numbers,
        NPUTensor(.state, state.keySlots, element, 1, 1, 2 * state.cacheWidth), &body)
    } else {
      write.addValues(
        numbers, NPUTensor(.state, state.slots, element, 1, width, stream.bits), &body)
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
    let (width, layout) = (state.cacheWidth, state.caches)
    let ones = try params.ones(width * 8)
    let eight = NPUTensor(.state, state.selection, .int16, 1, 1, 8)
    var places = eight
    if layout.values.stream.bits == 4 {
      // Of each two positions the second has the upper half of their byte.
      places = body.map(.int16, 1, 1, 4)
      body.elementwise(
        .add, eight.viewed(1, 4, 1, strideX: 2),
        .tensor(eight.viewed(1, 4, 1, strideX: 2, from: 1)), places.viewed(1, 4, 1),
        secondScale: 16)
    }
    let bytes = places.shape.depth
    body.elementwise(
      .mul, ones.viewed(1, width, bytes), .tensor(places),
      NPUTensor(.state, state.slots, layout.values.element, 1, width, bytes))

    let slots = layout.keySlots
    var place = NPUTensor(.state, state.selection + 16, .int16, 1, 1, slots)
    if slots == 4 {
      place = body.map(.int16, 1, 1, slots)
      body.elementwise(
        .add, eight.viewed(1, 1, 4), .tensor(eight.viewed(1, 1, 4, from: 4)), place)
    }
    let keySlots = NPUTensor(.state, state.keySlots, layout.keys.element, 1, 1, 2 * width)
    let group = 16 / slots
    if CacheWrite.hasWholeGroups(layout) {
      body.elementwise(
        .mul, ones.viewed(width / 8, slots, group), .tensor(place.viewed(1, slots, 1)),
        keySlots.viewed(width / 8, slots, group))
    } else {
      let row = 2 * width / slots
      body.elementwise(
        .mul, ones.viewed(slots, 1, row), .tensor(place.viewed(slots, 1, 1)),
        keySlots.viewed(slots, 1, row))
    }
  }

  /// What ``lowerSelection(_:_:)`` keeps between its operations.
  static let selectionScratch = 32
}

/// Stores numbers of all heads in one cache.
private struct CacheWrite {
  let layout: CacheLayout
  let isKeys: Bool
  let heads: Int
  /// Where the cache starts in the state region.
  let offset: Int

  var form: StreamForm { isKeys ? layout.keys : layout.values }
  private var headBytes: Int { isKeys ? layout.keyBytes : layout.valueBytes }
  /// Channels of a key that share a byte, and positions of a value.
  private var channelsPerByte: Int { isKeys ? form.stream.weightsPerByte : 1 }
  private var rowsPerByte: Int { isKeys ? 1 : form.stream.weightsPerByte }
  /// Bytes of a head's channels.
  private var headWidth: Int { layout.channels / channelsPerByte }

  /// The bytes of a head by where they are.
  private var runs: [PlaceRun] {
    PlaceRun.split(
      (0..<headWidth).map {
        isKeys ? layout.keyPlace($0 * channelsPerByte) : layout.valuePlace($0)
      })
  }

  /// Numbers of 4 bits, two in each byte: neighbouring channels of keys, values of neighbouring rows.
  func packed(_ numbers: NPUTensor, _ body: inout KernelSequence) -> NPUTensor {
    let (rows, width) = (numbers.shape.width, numbers.shape.depth)
    if isKeys {
      let bytes = body.map(.uint8, 1, rows, width / 2)
      func every(_ first: Int) -> NPUTensor {
        numbers.viewed(rows, width / 2, 1, strideY: width, strideX: 2, from: first)
      }
      body.elementwise(
        .add, every(0), .tensor(every(1)), bytes.viewed(rows, width / 2, 1), secondScale: 16)
      return bytes
    }
    let bytes = body.map(.uint8, 1, (rows + 1) / 2, width)
    func every(_ first: Int) -> NPUTensor {
      numbers.viewed(1, rows / 2, width, strideX: 2 * width, from: first * width)
    }
    body.elementwise(
      .add, every(0), .tensor(every(1)), bytes.viewed(1, rows / 2, width), secondScale: 16)
    if rows % 2 == 1 {
      body.copy(
        numbers.viewed(1, 1, width, from: (rows - 1) * width),
        to: bytes.viewed(1, 1, width, from: rows / 2 * width))
    }
    return bytes
  }

  /// Bytes of the position at hand in the streams of some heads.
  private func place(
    _ heads: Range<Int>, _ height: Int, _ width: Int, _ depth: Int, strideY: Int, strideX: Int,
    at place: Int
  ) -> NPUTensor {
    var map = NPUTensor(isKeys ? .keys : .values, offset, form.element, 1, 1, 1).viewed(
      height, width, depth, strideY: strideY, strideX: strideX,
      from: heads.lowerBound * headBytes + place)
    map.reach = offset + heads.lowerBound * headBytes..<offset + heads.upperBound * headBytes
    return map
  }

  /// Whether keys of all places that share 16 bytes stand beside each other in groups of eight channels.
  static func hasWholeGroups(_ layout: CacheLayout) -> Bool { layout.channels % 8 == 0 }

  /// A batch's rows at their own places.
  ///
  /// Neighbouring positions that are evenly apart are stored at once: keys as rows of eight channels, values
  /// number by number. Heads, or the parts of a head, take the direction that is left, whichever are more.
  func store(_ source: NPUTensor, rows: Int, _ body: inout KernelSequence) {
    let width = heads * headWidth
    let places = stride(from: 0, to: rows, by: rowsPerByte).map {
      isKeys ? layout.keyOffset($0) : layout.valueOffset($0)
    }
    let rows = places.count
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
    let width = heads * headWidth
    let parts = parts(run)
    if heads * run.rows <= count * parts.count {
      for head in 0..<heads {
        for row in 0..<run.rows {
          body.copy(
            source.viewed(
              count, run.columns, 1, strideY: width, strideX: 1,
              from: first * width + head * headWidth + run.first + row * run.columns),
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
          sourceStride: headWidth, place: run.place + $0 * run.rowStride, stride: headBytes)
      }
    }
    return (0..<heads).map {
      Part(
        heads: $0..<$0 + 1, count: run.rows, first: $0 * headWidth + run.first,
        sourceStride: run.columns, place: run.place, stride: run.rowStride)
    }
  }

  /// A token's keys at one of the places that share 16 bytes: `slots` is 1 for its own, 0 for the others.
  func addKeys(_ source: NPUTensor, _ slots: NPUTensor, _ body: inout KernelSequence) {
    let width = heads * headWidth
    let isWhole = Self.hasWholeGroups(layout)
    let count = layout.keySlots
    let group = 16 / count
    /// The bytes of all places beside each other, group by group of eight channels; or one after the other.
    let bytes = body.map(form.element, 1, 1, count * width)
    func all(_ map: NPUTensor) -> NPUTensor {
      isWhole
        ? map.viewed(width / group, count, group)
        : map.viewed(count, 1, width, strideY: map.shape.depth / count)
    }
    body.elementwise(
      .mul, all(slots),
      .tensor(isWhole ? source.viewed(width / group, 1, group) : source.viewed(1, 1, width)),
      all(bytes))
    for run in runs {
      for slot in isWhole ? 0..<1 : 0..<count {
        let depth = isWhole ? 16 : run.columns
        let there = place(
          0..<heads, heads, run.rows, depth, strideY: headBytes, strideX: run.rowStride,
          at: run.place + slot * group)
        let from = isWhole ? count * run.first : slot * width + run.first
        merge(
          bytes.viewed(
            heads, run.rows, depth, strideY: isWhole ? count * headWidth : headWidth,
            strideX: depth,
            from: from), there, .max, &body)
      }
    }
  }

  /// A token's values at one of the places of eight positions: `slots` has one byte that is not zero for it.
  func addValues(_ source: NPUTensor, _ slots: NPUTensor, _ body: inout KernelSequence) {
    let width = heads * headWidth
    let eight = slots.shape.depth
    // Bytes that have a value in one half get another in the other half.
    let mode: ISA.ElementwiseMode = rowsPerByte > 1 ? .add : .max
    let bytes = body.map(form.element, 1, width, eight)
    body.elementwise(.mul, slots, .tensor(source.viewed(1, width, 1)), bytes)
    for run in runs {
      if run.columnStride == eight {
        // The places of neighbouring channels lie side by side, too.
        let depth = run.columns * eight
        merge(
          bytes.viewed(
            heads, run.rows, depth, strideY: headWidth * eight, strideX: depth,
            from: run.first * eight),
          place(
            0..<heads, heads, run.rows, depth, strideY: headBytes, strideX: run.rowStride,
            at: run.place), mode, &body)
        continue
      }
      for part in parts(run) {
        merge(
          bytes.viewed(
            part.count, run.columns, eight, strideY: part.sourceStride * eight,
            from: part.first * eight),
          place(
            part.heads, part.count, run.columns, eight, strideY: part.stride,
            strideX: run.columnStride, at: part.place), mode, &body)
      }
    }
  }

  /// Brings numbers together of which one is zero. The larger one of bytes without a sign costs a third of the sum.
  private func merge(
    _ bytes: NPUTensor, _ there: NPUTensor, _ mode: ISA.ElementwiseMode,
    _ body: inout KernelSequence
  ) {
    let place = there.unsignedBytes
    body.elementwise(mode, place, .tensor(bytes.unsignedBytes), place)
  }
}
