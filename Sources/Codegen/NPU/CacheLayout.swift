import EthosUISA
import Support
import TensorCore

/// How keys and values lie in the state region: as weight streams of convolutions over queries and over
/// the powers of scores, every number a byte, or half of one, at a place of its own (``RawWeightStream``).
///
/// A cache head's keys are weights from head channels to positions, its values from positions to head
/// channels. Narrow heads share a stream (``sharing(headDim:among:)``). Nothing is transposed or encoded:
/// `kv_write` stores numbers where the weight decoder expects them.
struct CacheLayout {
  /// Positions a cache holds.
  let context: Int
  /// Channels of a stream's heads.
  let channels: Int
  /// Positions before the first: the first weight of a stream is no one's, and blocks start at multiples
  /// of sixteen.
  let lead: Int
  /// One stream of keys: some positions of its heads.
  let keys: StreamForm
  /// One stream of values: some channels of its heads.
  let values: StreamForm
  /// Positions of a stream of keys, and how many such streams its heads have.
  let keyChunk: Int
  let keyChunks: Int
  /// Channels of a stream of values, and how many such streams its heads have.
  let valueChunk: Int
  let valueChunks: Int

  /// Elements between rows of scores.
  var scorePitch: Int { keyChunk * (keyChunks - 1) + (keys.outputs + 7) / 8 * 8 }

  /// How many heads of `headDim` channels share a stream where caches have `kvHeads`.
  ///
  /// The array takes sixteen channels of int16 at a time, and an operation costs a hundred cycles before it does
  /// anything. A query is then as wide as all heads of its stream, zero but for its own head's channels.
  static func sharing(headDim: Int, among kvHeads: Int) -> Int {
    guard headDim < 16 else { return 1 }
    return (1...max(kvHeads, 1)).last { kvHeads % $0 == 0 && $0 * headDim <= 16 } ?? 1
  }

  /// The layout of caches of `context` positions, whose streams hold `channels` of one head or some.
  ///
  /// Throws `DiagnosticError` when a stream cannot hold that many.
  ///
  /// - Parameter bits: of a key and of a value, 8 or 4.
  init(
    accelerator: Accelerator, context: Int, channels: Int,
    bits: (keys: Int, values: Int) = (8, 8)
  ) throws(DiagnosticError) {
    let tiling = LinearTiling(accelerator: accelerator)
    let microblock = tiling.microblock(bits: 16)
    let isFast = accelerator.product == .u85
    self.context = context
    self.channels = channels
    lead = isFast ? 0 : 16
    func up(_ size: Int, _ step: Int) -> Int { (size + step - 1) / step * step }
    func form(
      _ bits: Int, _ outputs: Int, _ inputs: Int, _ depth: Int
    ) throws(DiagnosticError) -> StreamForm {
      try StreamForm(
        accelerator: accelerator, bits: bits, outputs: outputs, inputs: inputs, blockDepth: depth,
        microblock: microblock)
    }
    guard bits.keys == 8 || channels % 2 == 0 else {
      throw DiagnosticError(
        "codegen.cache", "keys of 4 bits share bytes, which \(channels) channels cannot",
        wayOut: "keys=8")
    }
    let unit = max(microblock.depth, 8)
    /// Positions in as few parts of at most `most` as can be, multiples of 64.
    func positions(most: Int) -> (size: Int, count: Int) {
      guard context > most else { return (context, 1) }
      let count = (context + most - 1) / most
      let size = up((context + count - 1) / count, 64)
      return (size, (context + size - 1) / size)
    }
    /// Channels in as few equal parts of at most `most` as can be, in whole micro-blocks.
    func split(most: Int) throws(DiagnosticError) -> (size: Int, count: Int) {
      if channels <= most { return (channels, 1) }
      for count in 2...max(channels, 2)
      where channels % count == 0 && channels / count <= most && channels / count % unit == 0 {
        return (channels / count, count)
      }
      throw DiagnosticError(
        "codegen.context",
        "streams of the NPU's weight decoder hold values of \(most) channels for \(context) positions, "
          + "which \(channels) channels do not split into", wayOut: "a shorter --context")
    }
    if isFast {
      // Blocks of a U85 go forth and back over inputs, so a stream is one block.
      var depth = 256
      while depth > unit,
        tiling.block(tokens: 1, inputs: channels, depth: depth, bits: 16) == nil
      {
        depth -= unit
      }
      (keyChunk, keyChunks) = positions(most: depth)
      (valueChunk, valueChunks) = try split(most: depth)
      keys = try form(bits.keys, keyChunk, channels, up(keyChunk, unit))
      values = try form(bits.values, valueChunk, context, up(valueChunk, unit))
      return
    }
    let limit = StreamForm.standardLimit
    let most = limit / up(channels, 16) - lead
    (keyChunk, keyChunks) = positions(most: most / 64 * 64)
    (valueChunk, valueChunks) = try split(
      most: min(limit / up(lead + context, 16), 128) / unit * unit)
    // Blocks of 16 channels are the smallest that there may be several of.
    keys = try form(bits.keys, up(lead + keyChunk, 16), channels, 16)
    values = try form(bits.values, valueChunk, lead + context, up(valueChunk, unit))
  }

  /// Whether channels are as far from each other at every position as at the first: then one base pointer
  /// leads to all of them.
  var isEven: Bool {
    (0..<min(keyChunk, context)).allSatisfy { position in
      (0..<channels).allSatisfy {
        keys.place(lead + position, $0) - keys.place(lead + position, 0)
          == keys.place(lead, $0) - keys.place(lead, 0)
      }
    }
      && (0..<context).allSatisfy { position in
        (0..<valueChunk).allSatisfy {
          values.place($0, lead + position) - values.place(0, lead + position)
            == values.place($0, lead) - values.place(0, lead)
        }
      }
  }

  /// Positions whose keys share 16 bytes, each with eight channels. Values of eight positions lie beside each other.
  var keySlots: Int { 16 / keys.stream.bits }

  /// Bytes of the keys of heads that share a stream, and of their values.
  var keyBytes: Int { keyChunks * keys.bytes }
  var valueBytes: Int { valueChunks * values.bytes }

  /// Bytes from where a head's keys of position 0 are to those of `position`.
  func keyOffset(_ position: Int) -> Int {
    position / keyChunk * keys.bytes
      + keys.place(lead + position % keyChunk, 0) - keys.place(lead, 0)
  }

  /// Bytes from where a head's values of position 0 are to those of `position`.
  func valueOffset(_ position: Int) -> Int {
    values.place(0, lead + position) - values.place(0, lead)
  }

  /// Bytes from the first byte of a head's keys to a channel of position 0.
  func keyPlace(_ channel: Int) -> Int { keys.place(lead, channel) }

  /// Bytes from the first byte of a head's values to a channel of position 0.
  func valuePlace(_ channel: Int) -> Int {
    channel / valueChunk * values.bytes + values.place(channel % valueChunk, lead)
  }
}

/// One weight stream with a place for each weight: where they are, and what is around them.
struct StreamForm {
  /// Output and input channels.
  let outputs: Int
  let inputs: Int
  /// The OFM block depth its order is made for.
  let blockDepth: Int
  let microblock: BlockShape
  let stream: RawWeightStream
  /// The stream of zeros.
  let template: [UInt8]
  private let places: [Int32]

  /// Bytes of the stream, a multiple of 16.
  var bytes: Int { template.count }
  /// What its bytes are to operations that multiply them by one or nothing: two numbers of 4 bits have no sign.
  var element: ElementType { stream.bits == 4 ? .uint8 : .int8 }
  /// Bytes before the first weight, and from where on there are none.
  let start: Int
  let end: Int

  /// Weights a stream of the standard decoder holds, padding included.
  static let standardLimit = 32768

  /// The byte with the weight from an input to an output; of two, that from the even input has the lower bits.
  func place(_ output: Int, _ input: Int) -> Int { Int(places[output * inputs + input]) }

  init(
    accelerator: Accelerator, bits: Int, outputs: Int, inputs: Int, blockDepth: Int,
    microblock: BlockShape
  ) throws(DiagnosticError) {
    self.outputs = outputs
    self.inputs = inputs
    self.blockDepth = blockDepth
    self.microblock = microblock
    let isFast = accelerator.product == .u85
    stream = RawWeightStream(bits: bits, isFast: isFast)
    var geometry = WeightGeometry(
      family: isFast ? .u85 : .u55, outputs: outputs, inputs: inputs, ofmBlockDepth: blockDepth,
      ofmUblockDepth: microblock.depth, ifmBits: 16)
    if isFast {
      geometry.cores = accelerator.weightDecoders
      geometry.macs = accelerator.macs
      geometry.format = .fast
    }
    let order: [Int]
    do {
      order = try Self.order(geometry)
    } catch {
      throw DiagnosticError("codegen.cache", "the caches' weights have no order: \(error)")
    }
    let shared = stream.weightsPerByte
    template = stream.bytes(count: order.count)
    start = stream.start / shared + (isFast ? 0 : 1)
    end = (stream.start + order.count) / shared
    var places = [Int32](repeating: -1, count: outputs * inputs)
    for (index, weight) in order.enumerated() where weight >= 0 {
      guard weight % inputs % shared == index % shared else {
        throw DiagnosticError("codegen.cache", "neighbours among the caches' weights share no byte")
      }
      places[weight] = Int32((stream.start + index) / shared)
    }
    self.places = places
  }

  /// The number of the weight at each place of the hardware's order; −1 is padding.
  private static func order(_ geometry: WeightGeometry) throws -> [Int] {
    // Numbers have 15 bits, so they come in two halves.
    let count = geometry.outputs * geometry.inputs
    func half(_ value: (Int) -> Int) throws -> [Int16] {
      try (0..<count).map { Int16(truncatingIfNeeded: value($0)) }.withUnsafeBufferPointer {
        try WeightStream.padded($0, geometry: geometry)
      }
    }
    let low = try half { ($0 + 1) & 0x3FFF }
    let high = try half { ($0 + 1) >> 14 }
    return zip(low, high).map { Int($1) << 14 + Int($0) - 1 }
  }
}

/// Places that are evenly apart in two directions, as the strides of a feature map want them.
struct PlaceRun: Equatable {
  /// The first element, and elements of a column.
  let first: Int
  let columns: Int
  let rows: Int
  /// The place of the first element, and bytes between columns and rows.
  let place: Int
  let columnStride: Int
  let rowStride: Int

  /// Splits places into as few runs as evenness allows, with columns of a power of two.
  static func split(_ places: [Int]) -> [PlaceRun] {
    func isEven(_ range: Range<Int>, _ step: Int) -> Bool {
      range.dropFirst().allSatisfy { places[$0] - places[$0 - 1] == step }
    }
    var runs: [PlaceRun] = []
    var at = 0
    while at < places.count {
      let step = at + 1 < places.count ? places[at + 1] - places[at] : 1
      var length = 1
      while at + length < places.count, places[at + length] - places[at + length - 1] == step {
        length += 1
      }
      var rows = 1
      var rowStride = 0
      while at + (rows + 1) * length <= places.count {
        let next = at + rows * length
        let apart = places[next] - places[next - length]
        guard rows == 1 || apart == rowStride, isEven(next..<next + length, step) else { break }
        rowStride = apart
        rows += 1
      }
      runs.append(
        PlaceRun(
          first: at, columns: length, rows: rows, place: places[at], columnStride: step,
          rowStride: rowStride))
      at += rows * length
    }
    return runs
  }
}
