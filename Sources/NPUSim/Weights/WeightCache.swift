/// Decoded weight streams, kept from run to run.
///
/// An entry is found by where the encoded bytes are constant: streams in constant memory and untouched
/// DMA copies of them (see ``Provenance``) are identified by their address there. Streams that live in
/// RAM without such a history, such as those that kernels write, are decoded each time.
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
    var lastRun: Int
    var cost: Int { weights.byteCount }
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
          misses += 1
          return DecodedWeights(try decode(streams, layout))
        }
      }
      banks.append(bank)
      sources.append(Key.Source(bank: ObjectIdentifier(bank), range: range))
    }
    let key = Key(sources: sources, layout: layout)
    if let entry = entries[key] {
      entries[key]?.lastRun = run
      hits += 1
      return entry.weights
    }
    misses += 1
    let weights = DecodedWeights(try decode(streams, layout))
    insert(Entry(weights: weights, banks: banks, lastRun: run), under: key)
    return weights
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
