import ProgramFormat

/// What would make a region fit that does not.
struct SizeAdvice {
  /// Where the caches are.
  let state: StateLayout
  /// The weights, once they are encoded.
  var packed: WeightPacker.Result?
  /// Bytes of the weights region with all its tables, and of an embedding table of eight bits among them.
  var tables = 0
  var wideTable = 0

  /// What would make a region fit into `room` bytes, about; nil where nobody knows.
  func text(_ region: Region, room: Int) -> String? {
    let ways: [String?] =
      switch region {
      case .state: [fewerCacheBits(room), shorterContext(room)]
      case .weights: [smallerTable(room), fewerBits(room), both(room)]
      case .arena, .near, .params: []
      }
    return ways.compactMap(\.self).reduce(nil) { all, next in
      all.map { "\($0), or \(next)" } ?? next
    }
  }

  /// The longest context whose caches fit; nil for none worth the name.
  private func shorterContext(_ room: Int) -> String? {
    let positions = state.caches.context * room / max(state.bytes, 1) / 16 * 16
    return positions >= 16 && positions < state.caches.context ? "--context \(positions)" : nil
  }

  /// Fewer bits for values, or for keys too, with which the caches would fit.
  private func fewerCacheBits(_ room: Int) -> String? {
    let (keys, values) = state.cacheParts
    let bits = (keys: state.caches.keys.stream.bits, values: state.caches.values.stream.bits)
    var bytes = state.bytes
    if bits.values == 8 {
      bytes -= values / 2
      if bytes <= room { return "values of 4 bits (--quant …:values=4)" }
    }
    if bits.keys == 8 { bytes -= keys / 2 }
    return bytes <= room && bytes < state.bytes ? "keys and values of 4 bits (--quant …:kv=4)" : nil
  }

  /// Embeddings of four bits, where they alone do.
  private func smallerTable(_ room: Int) -> String? {
    wideTable > 0 && tables - wideTable / 2 <= room
      ? "embeddings of 4 bits (--quant …:embeddings=4)" : nil
  }

  /// Fewer bits for both, where embeddings alone do not do.
  private func both(_ room: Int) -> String? {
    guard wideTable > 0, tables - wideTable / 2 > room else { return nil }
    return bits(room + wideTable / 2).map { "--bits-per-weight \($0) with --quant …:embeddings=4" }
  }

  /// Bits a weight at which the weights region would fit; nil when none would do. Of its tables, what is no weight
  /// stream stays as it is, and other regions take what they took.
  private func fewerBits(_ room: Int) -> String? { bits(room).map { "--bits-per-weight \($0)" } }

  private func bits(_ room: Int) -> Double? {
    guard let packed, packed.weightCount > 0 else { return nil }
    let streams = packed.streamBytes - (tables - room)
    let bits = (Double(streams) * 80 / Double(packed.weightCount)).rounded(.down) / 10
    return bits >= 1.6 ? bits : nil
  }
}
