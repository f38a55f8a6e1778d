import EthosUISA
import GraphIR
import ProgramFormat
import Support

/// Where states lie in the state region: all keys, all values, then what the runtime writes for a job.
struct StateLayout {
  /// What they are laid out for.
  let accelerator: Accelerator
  /// How every cache is laid out.
  let caches: CacheLayout
  /// Heads of a cache that share a stream.
  let sharing: Int
  /// The states that hold keys.
  private(set) var keyCaches: Set<StateID> = []
  /// The byte offset of each state.
  private(set) var offsets: [StateID: Int] = [:]
  /// Bytes of all caches, from the first byte on.
  private(set) var cacheBytes = 0
  /// Bytes of all keys, and of all values.
  var cacheParts: (keys: Int, values: Int) {
    (streams.keys * caches.keyBytes, streams.values * caches.valueBytes)
  }
  /// Streams of all keys, and of all values, but for the parts they may have.
  private var streams = (keys: 0, values: 0)
  /// The byte offset of the score mask: int16 for each position, −2^15 until the position holds a token,
  /// then 2^15 − 1. Before it stand one such number less than a batch has tokens, all 2^15 − 1: the mask of
  /// a batch's row `t` starts `t` numbers earlier, and so shows `t` positions more.
  private(set) var mask = 0
  /// Channels of a cache's heads.
  private(set) var cacheWidth = 0
  /// The byte offset of queries as wide as all heads that share a stream: int16, zero but for each query's own
  /// channels.
  private(set) var queries = 0
  /// The byte offset of what the runtime says of a token's place: int16, a one among eight numbers for the
  /// position modulo 8, then one among two for it modulo 2.
  private(set) var selection = 0
  /// The byte offset of what the NPU makes of them for each channel, bytes that are multiplied by values to bring
  /// them to their place among those of eight positions; of a batch, of ones and zeros for its rows.
  private(set) var slots = 0
  /// The byte offset of the same for keys.
  private(set) var keySlots = 0
  /// The byte offset of int16 numbers, 1 for each row of a batch that holds a token, else 0.
  private(set) var validity = 0
  /// The byte offset of the rows of the rotation table.
  private(set) var rotations = 0
  /// The byte offset of the tokens' rows, with cosines and sines twice each, and int16 numbers from row to row.
  private(set) var turns = 0
  private(set) var turnPitch = 0
  /// The byte offset of the multipliers of the tokens' embeddings.
  private(set) var multipliers = 0
  /// The byte offset of the rows of the embedding table that a batch reads.
  private(set) var embeddings = 0
  /// All bytes.
  private(set) var bytes = 0

  /// The layout of a graph's states, for batches of `tokens`, whose embeddings have rows of `rowBytes`.
  ///
  /// Throws `DiagnosticError` when caches differ in shape, or no stream can hold them.
  init(
    _ graph: Graph, tokens: Int, rowBytes: Int, accelerator: Accelerator
  ) throws(DiagnosticError) {
    func padded(_ bytes: Int) -> Int { (bytes + 15) / 16 * 16 }
    var (keys, values): ([StateID], [StateID]) = ([], [])
    var headDim = 0
    var queries = 0
    for operation in graph.functions.flatMap(\.operations) where operation.code == .attention {
      guard operation.operands.count > 3, case .state(let k) = operation.operands[2],
        case .state(let v) = operation.operands[3], let width = operation.int("head_dim"),
        let heads = operation.int("heads"), headDim == 0 || headDim == width
      else {
        throw DiagnosticError(
          "codegen.cache", "all attentions need caches of their own and heads of one size",
          at: SourceLocation(element: operation.provenance.source))
      }
      headDim = width
      queries = max(queries, heads)
      if keyCaches.insert(k).inserted { keys.append(k) }
      if !values.contains(v) { values.append(v) }
    }
    let context = keys.first.map { graph[$0].type.shape[1] } ?? 1
    for id in keys + values where graph[id].type.shape[1] != context {
      throw DiagnosticError(
        "codegen.cache", "all caches need the same number of positions",
        at: SourceLocation(element: graph[id].name))
    }
    func bits(_ states: [StateID]) throws(DiagnosticError) -> Int {
      let elements = Set(states.map { graph[$0].type.element })
      guard elements.count <= 1 else {
        throw DiagnosticError(
          "codegen.cache", "keys of all layers need one type, and values of all layers")
      }
      return elements == [.int4] ? 4 : 8
    }
    self.accelerator = accelerator
    let kvHeads = Set((keys + values).map { graph[$0].type.shape[0] })
    sharing =
      kvHeads.count == 1
      ? CacheLayout.sharing(headDim: max(headDim, 1), among: kvHeads.first ?? 1) : 1
    caches = try CacheLayout(
      accelerator: accelerator, context: context, channels: sharing * max(headDim, 1),
      bits: (try bits(keys), try bits(values)))
    guard caches.isEven else {
      throw DiagnosticError(
        "codegen.cache", "channels of \(headDim) are not evenly apart at all positions")
    }
    for id in keys {
      offsets[id] = bytes
      let count = graph[id].type.shape[0] / sharing
      streams.keys += count
      bytes += count * caches.keyBytes
    }
    for id in values {
      offsets[id] = bytes
      let count = graph[id].type.shape[0] / sharing
      streams.values += count
      bytes += count * caches.valueBytes
    }
    cacheBytes = bytes
    mask = bytes + padded((tokens - 1) * 2)
    bytes = mask + padded(context * 2)
    cacheWidth = (keys + values).map { graph[$0].type.shape[0] * headDim }.max() ?? 0
    selection = bytes
    bytes += 32
    slots = bytes
    bytes += padded(max(cacheWidth * 8, tokens))
    keySlots = bytes
    bytes += padded(cacheWidth * 2)
    self.queries = bytes
    if sharing > 1, let count = kvHeads.first {
      bytes += padded(tokens * shared(heads: queries, kvHeads: count).rowPitch * 2)
    }
    validity = bytes
    bytes += padded(tokens * 2)
    rotations = bytes
    bytes += tokens * padded(headDim * 2)
    turns = bytes
    turnPitch = padded(headDim * 4) / 2
    bytes += tokens * turnPitch * 2
    multipliers = bytes
    bytes += padded(tokens * 4)
    embeddings = bytes
    // One token's row is read where it is.
    if tokens > 1 { bytes += tokens * padded(rowBytes) }
  }

  /// How `heads` query heads of `kvHeads` cache heads share streams.
  func shared(heads: Int, kvHeads: Int) -> SharedHeads {
    SharedHeads(
      group: heads / kvHeads, sharing: sharing, streams: kvHeads / sharing,
      headDim: caches.channels / sharing)
  }

  /// What the region holds before any token, but for zeros: the first bytes of all streams and their ends.
  var initialContent: [(offset: Int, stride: Int, count: Int, content: [UInt8])] {
    [
      (caches.keys, 0, streams.keys * caches.keyChunks),
      (caches.values, streams.keys * caches.keyBytes, streams.values * caches.valueChunks),
    ].filter { $0.2 > 0 }.flatMap { form, offset, count in
      let tail = Array(form.template[form.end...])
      let head = (offset, form.bytes, count, Array(form.template[..<form.start]))
      return tail.contains { $0 != 0 }
        ? [head, (offset + form.end, form.bytes, count, tail)] : [head]
    }
  }

  /// The bytes of all streams that the first `tokens` positions take, as rows of equal length.
  func prefixRows(_ tokens: Int) -> [(offset: Int, stride: Int, count: Int, bytes: Int)] {
    guard tokens > 0 else { return [] }
    var rows: [(offset: Int, stride: Int, count: Int, bytes: Int)] = []
    for chunk in 0..<caches.keyChunks where chunk * caches.keyChunk < tokens {
      let last = min(tokens - chunk * caches.keyChunk, caches.keyChunk) - 1
      let end =
        (0...last).flatMap { position in
          (0..<caches.channels).map { caches.keys.place(caches.lead + position, $0) + 1 }
        }.max() ?? 0
      rows.append(
        (
          chunk * caches.keys.bytes, caches.keyBytes, streams.keys,
          min((end + 15) / 16 * 16, caches.keys.bytes)
        ))
    }
    let end =
      (0..<tokens).flatMap { position in
        (0..<caches.valueChunk).map { caches.values.place($0, caches.lead + position) + 1 }
      }.max() ?? 0
    rows.append(
      (
        streams.keys * caches.keyBytes, caches.values.bytes, streams.values * caches.valueChunks,
        min((end + 15) / 16 * 16, caches.values.bytes)
      ))
    return rows
  }

  /// How the base pointer of keys follows the position: to the first of those that share 16 bytes.
  func keyPlace() throws(DiagnosticError) -> Manifest.CachePlace {
    try place({ caches.keyOffset($0 & ~(caches.keySlots - 1)) }, chunk: caches.keyChunk)
  }

  /// How the base pointer of values follows the position: to the eight it belongs to.
  func valuePlace() throws(DiagnosticError) -> Manifest.CachePlace {
    try place({ caches.valueOffset($0 & ~7) }, chunk: caches.context)
  }

  private func place(
    _ offset: (Int) -> Int, chunk: Int
  ) throws(DiagnosticError) -> Manifest.CachePlace {
    guard (0..<caches.context).allSatisfy({ offset($0) % 16 == 0 }) else {
      throw DiagnosticError("codegen.cache", "base pointers would not be multiples of 16")
    }
    let positions = min(chunk, caches.context)
    // The shortest period after which places repeat, evenly apart.
    var period = 1
    while period < positions,
      !(0..<positions - period).allSatisfy({
        offset($0 + period) - offset($0) == offset(period) - offset(0)
      })
    {
      period *= 2
    }
    return Manifest.CachePlace(
      chunk: chunk, chunkBytes: chunk < caches.context ? offset(chunk) : 0, period: period,
      periodBytes: period < positions ? offset(period) : 0,
      offsets: (0..<min(period, positions)).map(offset))
  }

  /// Where batches of `tokens` may start: at multiples of this.
  ///
  /// Throws `DiagnosticError` when rows of such a batch are not as far from the first everywhere.
  func alignment(of tokens: Int) throws(DiagnosticError) -> Int {
    if tokens == 1 { return 1 }
    var step = 8
    while step < tokens { step *= 2 }
    for first in stride(from: step, through: caches.context - tokens, by: step) {
      for row in 1..<tokens {
        guard
          caches.keyOffset(first + row) - caches.keyOffset(first) == caches.keyOffset(row),
          caches.valueOffset(first + row) - caches.valueOffset(first) == caches.valueOffset(row)
        else {
          throw DiagnosticError(
            "codegen.batch", "a batch of \(tokens) tokens has no place of one form in the caches",
            wayOut: "--prefill 16")
        }
      }
    }
    return step
  }
}
