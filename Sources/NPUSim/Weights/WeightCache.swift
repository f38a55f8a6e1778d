/// Decoded weight streams, kept from run to run.
///
/// An entry is found by where the encoded bytes are constant: streams in constant memory and untouched
/// DMA copies of them (see ``Provenance``) are identified by their address there. Streams that live in
/// RAM without such a history are compared with the bytes the entry was decoded from.
struct WeightCache {
  /// What identifies an entry.
  private struct Key: Hashable {
    struct Source: Hashable {
      var bank: ObjectIdentifier
      var range: Range<Int>
    }
    var sources: [Source]
    var layout: WeightLayout
  }

  private struct Entry {
    var weights: DecodedWeights
    /// Keeps the banks alive, so that their identities stay theirs.
    var banks: [MemoryBank]
    /// The encoded bytes, unless they are constant.
    var encoded: [UInt8]?
    var lastRun: Int
    var cost: Int { weights.byteCount + (encoded?.count ?? 0) }
  }

  private var entries: [Key: Entry] = [:]
  private var used = 0
  private var run = 0
  /// Host memory for decoded weights, bytes. 0 keeps nothing.
  let budget: Int
  /// Streams decoded and streams found, for tests and reports.
  private(set) var misses = 0
  private(set) var hits = 0

  init(budget: Int) {
    self.budget = budget
  }

  /// Marks the start of a run: entries not used since the last one may be given up.
  mutating func beginRun() {
    run += 1
  }

  /// The decoded weights of the streams, from the cache or from `decode`.
  mutating func weights(
    _ streams: [MemorySpan], layout: WeightLayout,
    decode: ([MemorySpan], WeightLayout) throws(Fault) -> [Int16]
  ) throws(Fault) -> DecodedWeights {
    var isConstant = true
    var banks: [MemoryBank] = []
    var sources: [Key.Source] = []
    for span in streams {
      var bank = span.bank
      var range = span.range
      if bank.access != .readOnly {
        if let origin = bank.provenance.source(of: range) {
          bank = origin.bank
          range = origin.offset..<origin.offset + range.count
        } else {
          isConstant = false
        }
      }
      banks.append(bank)
      sources.append(Key.Source(bank: ObjectIdentifier(bank), range: range))
    }
    let key = Key(sources: sources, layout: layout)
    if let entry = entries[key],
      isConstant || Self.equal(entry.encoded, streams)
    {
      entries[key]?.lastRun = run
      hits += 1
      return entry.weights
    }
    misses += 1
    let weights = DecodedWeights(try decode(streams, layout))
    var encoded: [UInt8]?
    if !isConstant {
      encoded = streams.flatMap { [UInt8]($0.bank.bytes[$0.range]) }
    }
    insert(
      Entry(weights: weights, banks: banks, encoded: encoded, lastRun: run), under: key)
    return weights
  }

  private static func equal(_ encoded: [UInt8]?, _ streams: [MemorySpan]) -> Bool {
    guard let encoded else { return false }
    return encoded.withUnsafeBytes { encoded in
      var at = 0
      for span in streams {
        let bytes = span.bank.bytes[span.range]
        guard encoded[at..<at + bytes.count].elementsEqual(bytes) else { return false }
        at += bytes.count
      }
      return at == encoded.count
    }
  }

  private mutating func insert(_ entry: Entry, under key: Key) {
    if let old = entries.removeValue(forKey: key) { used -= old.cost }
    guard entry.cost <= budget else { return }
    if used + entry.cost > budget {
      // A token uses every layer once: throwing out the oldest of this run would empty the cache just
      // before each use. Only what the last run did not use either goes.
      for (key, old) in entries where old.lastRun < run - 1 {
        entries.removeValue(forKey: key)
        used -= old.cost
      }
      guard used + entry.cost <= budget else { return }
    }
    entries[key] = entry
    used += entry.cost
  }
}
